# A Kafka client in Python that knows nothing of midtrace:
#
#   plain_client.py produce|consume <count> <name=value>...
#
# It writes or reads `count` messages of the topic "orders", partition 0.
import sys

import confluent_kafka

count = int(sys.argv[2])
configuration = dict(pair.split("=", 1) for pair in sys.argv[3:])


def produce():
    delivered = []
    producer = confluent_kafka.Producer(configuration)
    for number in range(count):
        producer.produce(
            "orders",
            value=f"order {number}",
            partition=0,
            headers={"own": "header"},
            callback=lambda error, message: delivered.append(error),
        )
    producer.flush(20)
    return 0 if delivered == [None] * count else 6


def consume():
    consumer = confluent_kafka.Consumer(configuration)
    consumer.assign([confluent_kafka.TopicPartition("orders", 0, confluent_kafka.OFFSET_BEGINNING)])
    read = 0
    for _ in range(30 + count):
        message = consumer.poll(1)
        if message is not None and message.error() is None:
            print(message.value().decode())
            read += 1
        if read == count:
            break
    consumer.close()
    return 0 if read == count else 7


sys.exit(produce() if sys.argv[1] == "produce" else consume())
