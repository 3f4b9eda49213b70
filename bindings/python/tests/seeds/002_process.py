from multiprocessing import Process,Pool
import os
import time
def run(name):
    print('current process:%s in %s start' % (name,os.getpid()))
    time.sleep(3)
    print('process %s in %s ends' % (name,os.getpid()))
if __name__ == '__main__':
    print('Parent process:%s start' % os.getpid())
    p1 = Process(target=run,args=('haibo',))
    p2 = Process(target=run,args=('lina',))
    p1.start()
    p2.start()
    p1.join()
    p2.join()
    print('Parent process:%s end' % os.getpid())
