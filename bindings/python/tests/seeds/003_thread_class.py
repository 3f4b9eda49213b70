import threading

class MyThread(threading.Thread):
    def run(self):
        for i in range(1, 11):
            print(i)

# 创建线程实例
thread = MyThread()

# 启动线程
thread.start()

# 等待线程完成
thread.join()

print("Finished all threads")
