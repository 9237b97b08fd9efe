# A Kafka producer in Python that knows nothing of midtrace: plain_client.py <count> <name=value>...
import sys

import confluent_kafka

configuration = dict(pair.split("=", 1) for pair in sys.argv[2:])
delivered = []
producer = confluent_kafka.Producer(configuration)
for number in range(int(sys.argv[1])):
    producer.produce(
        "orders",
        value=f"order {number}",
        partition=0,
        headers={"own": "header"},
        callback=lambda error, message: delivered.append(error),
    )
producer.flush(20)
sys.exit(0 if delivered == [None] * int(sys.argv[1]) else 6)
