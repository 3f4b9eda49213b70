import threading

# 共享变量
shared_data = []

# 线程函数
def append_to_list(value):
    global shared_data
    shared_data.append(value)

# 创建线程
thread1 = threading.Thread(target=append_to_list, args=(1,))
thread2 = threading.Thread(target=append_to_list, args=(2,))

# 启动线程
thread1.start()
thread2.start()

# 等待线程结束
thread1.join()
thread2.join()

print(shared_data)  # 输出可能不是 [1, 2] 或 [2, 1],取决于线程执行的顺序和时间
