import threading

# 创建一个锁对象
lock = threading.Lock()

def function_with_lock():
    lock.acquire()
    try:
        # 执行需要互斥访问的代码
        print(f"{threading.current_thread().name} has acquired the lock.")
    finally:
        lock.release()
        print(f"{threading.current_thread().name} has released the lock.")

# 创建线程
thread1 = threading.Thread(target=function_with_lock)
thread2 = threading.Thread(target=function_with_lock)

# 启动线程
thread1.start()
thread2.start()

# 等待线程完成
thread1.join()
