// A Kafka client in plain C that knows nothing of midtrace.
//
//   plain_client produce|consume <count> <name=value>...
//
// The pairs are properties of the configuration, set in their order. It writes or reads `count` messages of
// the topic "orders", partition 0, and prints for each that it read its value and its headers.
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int delivered = 0;

static void on_delivery(rd_kafka_t* client, const rd_kafka_message_t* message, void* opaque) {
  (void)client;
  (void)opaque;
  if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) delivered++;
}

static rd_kafka_t* make_client(rd_kafka_type_t type, int count, char** pairs) {
  char error[512];
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  rd_kafka_t* client;
  int i;
  for (i = 0; i < count; i++) {
    char* equals = strchr(pairs[i], '=');
    *equals = '\0';
    if (rd_kafka_conf_set(conf, pairs[i], equals + 1, error, sizeof error) != RD_KAFKA_CONF_OK) {
      fprintf(stderr, "%s\n", error);
      exit(3);
    }
  }
  if (type == RD_KAFKA_PRODUCER) rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
  client = rd_kafka_new(type, conf, error, sizeof error);
  if (client == NULL) {
    fprintf(stderr, "%s\n", error);
    exit(4);
  }
  return client;
}

static int produce(rd_kafka_t* client, int count) {
  int i;
  for (i = 0; i < count; i++) {
    char value[32];
    const int length = snprintf(value, sizeof value, "order %d", i);
    const rd_kafka_resp_err_t error = rd_kafka_producev(
        client, RD_KAFKA_V_TOPIC("orders"), RD_KAFKA_V_PARTITION(0), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
        RD_KAFKA_V_VALUE(value, (size_t)length), RD_KAFKA_V_HEADER("own", "header", 6), RD_KAFKA_V_END);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) return 5;
  }
  rd_kafka_flush(client, 20000);
  return delivered == count ? 0 : 6;
}

static void print_headers(const rd_kafka_message_t* message) {
  rd_kafka_headers_t* headers;
  const char* name;
  const void* value;
  size_t size;
  size_t i;
  if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR) return;
  for (i = 0; rd_kafka_header_get_all(headers, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR; i++)
    printf("%s=%.*s\n", name, (int)size, (const char*)value);
}

static int consume(rd_kafka_t* client, int count) {
  rd_kafka_topic_partition_list_t* partitions = rd_kafka_topic_partition_list_new(1);
  int seconds;
  rd_kafka_topic_partition_list_add(partitions, "orders", 0)->offset = RD_KAFKA_OFFSET_BEGINNING;
  rd_kafka_poll_set_consumer(client);
  rd_kafka_assign(client, partitions);
  rd_kafka_topic_partition_list_destroy(partitions);
  for (seconds = 0; count > 0 && seconds < 30;) {
    rd_kafka_message_t* message = rd_kafka_consumer_poll(client, 1000);
    if (message == NULL) {
      seconds++;
      continue;
    }
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
      printf("%.*s\n", (int)message->len, (const char*)message->payload);
      print_headers(message);
      count--;
    }
    rd_kafka_message_destroy(message);
  }
  rd_kafka_consumer_close(client);
  return count == 0 ? 0 : 7;
}

int main(int argc, char** argv) {
  const int producing = argc > 2 && strcmp(argv[1], "produce") == 0;
  rd_kafka_t* client;
  int status;
  if (argc < 3) return 2;
  client = make_client(producing ? RD_KAFKA_PRODUCER : RD_KAFKA_CONSUMER, argc - 3, argv + 3);
  status = producing ? produce(client, atoi(argv[2])) : consume(client, atoi(argv[2]));
  rd_kafka_destroy(client);
  return status;
}
