import multiprocessing
import time

def producer(q, c):
    c.acquire()
    while len(q) == 0:
        c.wait()

    i = q.pop()
    print(i)
    c.release()

def consumer(q, c):
    for i in range(10):
        c.acquire()
        q.append(i)
        c.notify_all()
        c.release()
        time.sleep(1)

if __name__ == '__main__':
    queue = multiprocessing.Manager().list()
    cond = multiprocessing.Condition()
    p1 = multiprocessing.Process(target=consumer, args=(queue, cond,))
    p1.start()

    p2 = multiprocessing.Process(target=consumer, args=(queue, cond,))
    p2.start()

    q = multiprocessing.Process(target=producer, args=(queue, cond,))
    q.start()

    p1.join()
    p2.join()
    q.join()
