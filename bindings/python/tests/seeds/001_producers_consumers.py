from multiprocessing import Process,Queue
import random
import time
def producer(name,q):
    for i in range(1,7):
        # 处理数据延迟
        time.sleep(random.random())
        data= 'data  %s'%i
        q.put(data)
        print('生产者 %s 生产了数据: %s'%(name,data))
def consumer(name,q):
    while 1:
        data= q.get()
        if data is None:  #当接受到None是跳出循环
            print('\033[31;1m %s 消费完了 \033[0m'%name)
            break
        print('消费者 %s 收到数据: %s'%(name,data))
if __name__ =='__main__':
    q=Queue()
    pro_name=['alex','wusir','wang']
    con_name=['aaa','bb','c','ddd']
    pro_lis=[]
    for i in pro_name:  # 将所有的生产者写入列表,并且启动
        p=Process(target=producer,args=(i,q))
        p.start()
        pro_lis.append(p)
    for i in con_name:  # 启动消费者的进程
        p=Process(target=consumer,args=(i,q))
        p.start()
    for i in pro_lis:  # 等待每个进程阻塞,知道结束完
        i.join()
    for i in range(len(con_name)):  #发送四个None结束相应的消费者
        q.put(None)
