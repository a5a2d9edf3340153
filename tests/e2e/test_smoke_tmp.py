import time
def test_a(gateway, simulator):
    t=time.time()
    r=gateway.client.post("/v1/responses",json={"model":"gpt-5.5","input":"echo: hi"})
    print(r.status_code, r.text, r.headers)
    gateway.settled()
    print(gateway.metrics())
    print(simulator.records)
    print(gateway.printed())
def test_b(start):
    t=time.time()
    p=start(accounts=2); print(time.time()-t)
    t=time.time()
def test_c(start):
    t=time.time()
    p=start(accounts=2,limits={"keepalive_s":0.2}); print(time.time()-t)
