import time
import random
from multiprocessing import Process,Queue
def producer(q):
    for i in range(1,10): #不能是 put(0) 就会直接结束一个进程因为if not food
        time.sleep(random.random())
        food = '泔水%s'%i
        print('%s生产了%s'%('taibai',food))
        q.put(food)
def consumer(q,name):
    while True:
        food = q.get()   # food = 食物/None
        if not food : break
        time.sleep(random.uniform(1,2))
        print('%s 吃了 %s'%(name,food))
if __name__ == '__main__':
    q = Queue()
    p1 = Process(target=producer,args=(q,))
    p1.start()
    c1 = Process(target=consumer,args=(q,'alex'))
    c1.start()
    c2 = Process(target=consumer,args=(q,'wusir'))
    c2.start()
    p1.join()  #必须等待p1执行完
    q.put(None) # 这里需要注意的是,又有几个消费者(while True)就要发几次None,否则会出现孤儿进程
    q.put(None)
#但上述解决方式,在有多个生产者和多个消费者时,由于队列我们说了是进程安全的,我一个进程拿走了结束信号,另外一个进程就拿不到了,还需要多发送一个结束信号,有几个取数据的进程就要发送几个结束信号,我们则需要用一个很low的方式去解决。
