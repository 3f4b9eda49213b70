from multiprocessing import Pipe, Process

def worker(conn):
    i = conn.recv()
    print(i)
    conn.close()

if __name__ == '__main__':
    parent_conn, child_conn = Pipe()
    p = Process(target=worker, args=(child_conn,))
    p.start()
    parent_conn.send(1)
    p.join()
