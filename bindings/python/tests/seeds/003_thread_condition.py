import threading
import time

# 创建一个 Condition 对象
condition = threading.Condition()
buffer = []

def producer():
    with condition:
        print("Producer is producing data...")
        buffer.append("Data")
        print("Producer added data to buffer.")
        condition.notify()

def consumer():
    with condition:
        if not buffer:
            print("Consumer is waiting for data...")
            condition.wait()
        data = buffer.pop()
        print(f"Consumer consumed {data}.")

# 创建线程
producer_thread = threading.Thread(target=producer)
consumer_thread = threading.Thread(target=consumer)

# 启动线程
consumer_thread.start()
time.sleep(2)  # 确保消费者线程先运行并等待
producer_thread.start()

# 等待线程完成
producer_thread.join()
consumer_thread.join()
