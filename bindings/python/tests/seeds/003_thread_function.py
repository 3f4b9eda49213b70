import threading

def print_numbers():
    for i in range(1, 11):
        print(i)

# 创建线程
thread = threading.Thread(target=print_numbers)

# 启动线程
thread.start()

# 等待线程完成
thread.join()

print("Finished all threads")
