// A Kafka client in plain C that knows nothing of midtrace.
//
//   plain_client produce|consume|leave|fork <count> <name=value>...
//
// The pairs are properties of the configuration, set in their order. It writes or reads `count` messages of
// the topic "orders", partition 0, and prints for each that it read its value and its headers. `leave` writes
// them and exits without destroying its client; `fork` writes them while a forked child with a client of its
// own writes as many.
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

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
    const char* equals = strchr(pairs[i], '=');
    char name[128];
    snprintf(name, sizeof name, "%.*s", (int)(equals - pairs[i]), pairs[i]);
    if (rd_kafka_conf_set(conf, name, equals + 1, error, sizeof error) != RD_KAFKA_CONF_OK) {
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

// A server that makes its first client and then forks its workers.
static int produce_and_fork(rd_kafka_t* client, int count, int pair_count, char** pairs) {
  int status = produce(client, count);
  const pid_t child = fork();
  if (child == 0) {
    rd_kafka_t* own = make_client(RD_KAFKA_PRODUCER, pair_count, pairs);
    delivered = 0;
    status = produce(own, count);
    rd_kafka_destroy(own);
    exit(status);
  }
  {
    int child_status = -1;
    if (waitpid(child, &child_status, 0) != child || child_status != 0) return 9;
  }
  return status;
}

int main(int argc, char** argv) {
  const char* what = argc > 1 ? argv[1] : "";
  rd_kafka_t* client;
  int count;
  int status;
  if (argc < 3) return 2;
  count = atoi(argv[2]);
  client =
      make_client(strcmp(what, "consume") == 0 ? RD_KAFKA_CONSUMER : RD_KAFKA_PRODUCER, argc - 3, argv + 3);
  if (strcmp(what, "consume") == 0) {
    status = consume(client, count);
  } else if (strcmp(what, "fork") == 0) {
    status = produce_and_fork(client, count, argc - 3, argv + 3);
  } else {
    status = produce(client, count);
  }
  if (strcmp(what, "leave") == 0) exit(status);
  rd_kafka_destroy(client);
  return status;
}
