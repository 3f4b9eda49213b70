from multiprocessing import Process, Queue

def worker(queue, data):
    queue.put(data)
    print(f"Data {data} put into queue")

def consumer(queue):
    data = queue.get()
    print(f"Data {data} received from queue")

if __name__ == '__main__':
    queue = Queue()
    p1 = Process(target=worker, args=(queue, "Hello"))
    p2 = Process(target=consumer, args=(queue,))
    p1.start()
    p2.start()
    p1.join()
    p2.join()
