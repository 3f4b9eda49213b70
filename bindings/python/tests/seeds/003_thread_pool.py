import concurrent.futures
import time

def task(n):
    print(f"Processing {n}")
    time.sleep(n)
    return f"Task {n} completed"

# 创建 ThreadPoolExecutor
with concurrent.futures.ThreadPoolExecutor(max_workers=3) as executor:
    # 使用 submit 提交单个任务
    future = executor.submit(task, (2))
    print(future.result())

    # 使用 map 处理一系列的任务
    results = executor.map(task, [1, 3, 2])
    for result in results:
        print(result)
