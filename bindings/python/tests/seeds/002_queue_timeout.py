from multiprocessing import Process,Pool,Pipe,Queue,Manager
import os
import time
def input_data(q):
    for i in range(5):
        print('process %s Put data %d to Queue' %(os.getpid(),i))
        q.put(i)
        time.sleep(1)
def get_data(q):
    while True:
        try:
            value = q.get(True,timeout=3)
        finally:
            pass
        print('process %s Get data %s from Queue' % (os.getpid(),value))
def main():
    q = Queue()
    p1 = Process(target=input_data,args=(q,))
    p2 = Process(target=get_data,args=(q,))
    p1.start()
    p2.start()
    p1.join()
    p2.join()
    print('main function ends')
if __name__ == '__main__':
    main()
