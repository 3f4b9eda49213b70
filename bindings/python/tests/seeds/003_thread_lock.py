import threading

# 创建一个锁对象
lock = threading.Lock()

def print_numbers():
    lock.acquire()  # 获取锁
    try:
        for i in range(1, 11):
            print(i)
    finally:
        lock.release()  # 释放锁

# 创建线程
thread1 = threading.Thread(target=print_numbers)
thread2 = threading.Thread(target=print_numbers)

# 启动线程
thread1.start()
thread2.start()

# 等待线程完成
thread1.join()
thread2.join()

print("Finished all threads")
