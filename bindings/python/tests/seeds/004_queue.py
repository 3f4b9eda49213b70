import multiprocessing

def worker(q):
    i = q.get()
    print(i)

if __name__ == '__main__':
    queue = multiprocessing.Queue()
    p = multiprocessing.Process(target=worker, args=(queue,))
    p.start()

    queue.put(1)
    queue.close()
    queue.join_thread()
    p.join()
