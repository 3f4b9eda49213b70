import multiprocessing

def worker(number):
    print(f'Worker {number} is working.')

if __name__ == '__main__':
    # 创建进程
    processes = []
    for i in range(5):
        process = multiprocessing.Process(target=worker, args=(i,))
        processes.append(process)
        process.start()

    # 等待所有进程完成
    for process in processes:
        process.join()
