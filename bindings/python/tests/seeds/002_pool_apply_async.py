import multiprocessing as m
from multiprocessing import Process,Pool
import os
import time
def run(name):
    print('current process:%s in %s start' % (name,os.getpid()))
    time.sleep(3)
    print('process %s in %s ends' % (name,os.getpid()))
def main():
    print('Parent process:%s start' % os.getpid())
    pool = Pool()
    for i in range(m.cpu_count()+1):
        pool.apply_async(run,args=(i,))
    pool.close()
    pool.join()
    print('Parent process:%s end' % os.getpid())
if __name__ == '__main__':
    main()
