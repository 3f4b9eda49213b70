import threading
import queue

# 创建队列
q = queue.Queue()

# 生产者线程函数
def producer():
    for i in range(5):
        q.put(i)
        print(f"Produced {i}")

# 消费者线程函数
def consumer():
    while True:
        item = q.get()
        print(f"Consumed {item}")
        q.task_done()

# 创建线程
producer_thread = threading.Thread(target=producer)
consumer_thread = threading.Thread(target=consumer)

# 启动线程
producer_thread.start()
consumer_thread.start()

# 等待生产者线程结束
producer_thread.join()

# 等待队列被消费完
q.join()

# 停止消费者线程
consumer_thread.join()
