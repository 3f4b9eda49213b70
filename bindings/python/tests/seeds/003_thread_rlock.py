import threading

# 创建一个可重入锁
rlock = threading.RLock()

def recursive_locking(n):
    rlock.acquire()
    try:
        print(f"Recursion level {n}, {threading.current_thread().name} has acquired the lock.")
        if n < 3:
            recursive_locking(n + 1)
    finally:
        rlock.release()
        print(f"Recursion level {n}, {threading.current_thread().name} has released the lock.")

# 创建线程
thread = threading.Thread(target=recursive_locking, args=(1,))

# 启动线程
thread.start()

# 等待线程完成
thread.join()
