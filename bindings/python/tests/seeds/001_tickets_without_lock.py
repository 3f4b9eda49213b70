#注意:首先在当前文件目录下创建一个名为db的文件
#文件db的内容为:{"count":1},只有这一行数据,并且注意,每次运行完了之后,文件中的1变成了0,你需要手动将0改为1,然后在去运行代码。注意一定要用双引号,不然json无法识别
from multiprocessing import Process,Lock
import time,json,random
#查看剩余票数
def search():
    dic=json.load(open('db')) #打开文件,直接load文件中的内容,拿到文件中的包含剩余票数的字典
    print('\033[43m剩余票数%s\033[0m' %dic['count'])
def get():  #抢票
    dic=json.load(open('db'))
    time.sleep(0.1)       #模拟读数据的网络延迟,那么进程之间的切换,导致所有人拿到的字典都是{"count": 1},也就是每个人都拿到了这一票。
    if dic['count'] >0:
        dic['count']-=1
        time.sleep(0.2)   #模拟写数据的网络延迟
        json.dump(dic,open('db','w'))
        #最终结果导致,每个人显示都抢到了票,这就出现了问题~
        print('\033[43m购票成功\033[0m')
def task():
    search()
    get()
if __name__ == '__main__':
    for i in range(3): #模拟并发100个客户端抢票
        p=Process(target=task)
        p.start()
#看结果分析:由于网络延迟等原因使得进程切换,导致每个人都抢到了这最后一张票
# 剩余票数1
# 剩余票数1
# 剩余票数1
# 购票成功
# 购票成功
# 购票成功
