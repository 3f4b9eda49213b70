import multiprocessing

def worker(b):
    i = b.wait()
    print(i)
    if i == 0:
        print('passed the barrier')

if __name__ == '__main__':
    barrier = multiprocessing.Barrier(2)
    p = multiprocessing.Process(target=worker, args=(barrier,))
    p.start()

    q = multiprocessing.Process(target=worker, args=(barrier,))
    q.start()

    p.join()
    p.join()
