import threading
import time

# 创建一个信号量,最大允许3个线程同时访问
semaphore = threading.Semaphore(3)

def access_resource(i):
    print(f"Thread {i} is trying to access the resource.")
    semaphore.acquire()
    print(f"Thread {i} has accessed the resource.")
    time.sleep(2)  # 模拟资源使用时间
    print(f"Thread {i} is releasing the resource.")
    semaphore.release()

# 创建多个线程
threads = [threading.Thread(target=access_resource, args=(i,)) for i in range(5)]

# 启动所有线程
for thread in threads:
    thread.start()

# 等待所有线程完成
for thread in threads:
    thread.join()
