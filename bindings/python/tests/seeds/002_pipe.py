from multiprocessing import Process,Pool,Pipe,Queue,Manager
import os
import time
def input_data(pipe):
    while True:
        for i in range(1000):
            print('process %s send data %d' %(os.getpid(),i))
            pipe.send(i)
            time.sleep(1)
def get_data(pipe):
    while True:
        print('process %s receive data %s' % (os.getpid(),pipe.recv()))
        time.sleep(1)
def main():
    pipe = Pipe()
    p1 = Process(target=input_data,args=(pipe[0],))
    p2 = Process(target=get_data,args=(pipe[1],))
    p1.start()
    p2.start()
    p1.join()
    p2.join()
    print('main function ends')
if __name__ == '__main__':
    main()
