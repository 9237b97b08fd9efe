// A Kafka producer in C++ that knows nothing of midtrace.
//
//   plain_cpp_client <count> <name=value>... [-- <name=value>...]...
//
// The pairs are properties of the configuration, set in their order; each group of them makes a client. When
// all are made, one after the other writes `count` messages to the topic "orders", partition 0, with the key
// "customer", and waits for their delivery.
#include <librdkafka/rdkafkacpp.h>

#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace {

class Deliveries : public RdKafka::DeliveryReportCb {
 public:
  void dr_cb(RdKafka::Message& message) override {
    if (message.err() == RdKafka::ERR_NO_ERROR) ++count;
  }
  int count = 0;
};

struct Client {
  std::unique_ptr<Deliveries> deliveries = std::make_unique<Deliveries>();  // outlives the producer
  std::unique_ptr<RdKafka::Producer> producer;
};

Client make_client(const std::vector<std::string>& pairs) {
  Client client;
  std::string error;
  const std::unique_ptr<RdKafka::Conf> conf(RdKafka::Conf::create(RdKafka::Conf::CONF_GLOBAL));
  for (const std::string& pair : pairs) {
    const std::size_t equals = pair.find('=');
    if (conf->set(pair.substr(0, equals), pair.substr(equals + 1), error) != RdKafka::Conf::CONF_OK) {
      std::cerr << error << "\n";
      std::exit(3);
    }
  }
  if (conf->set("dr_cb", client.deliveries.get(), error) == RdKafka::Conf::CONF_OK)
    client.producer.reset(RdKafka::Producer::create(conf.get(), error));
  if (client.producer == nullptr) {
    std::cerr << error << "\n";
    std::exit(4);
  }
  return client;
}

int produce(Client& client, int count) {
  for (int i = 0; i < count; ++i) {
    std::string value = "order " + std::to_string(i);
    const std::string key = "customer";
    std::unique_ptr<RdKafka::Headers> headers(RdKafka::Headers::create());
    headers->add("own", "header");
    const RdKafka::ErrorCode error =
        client.producer->produce("orders", 0, RdKafka::Producer::RK_MSG_COPY, value.data(), value.size(),
                                 key.data(), key.size(), 0, headers.get(), nullptr);
    if (error != RdKafka::ERR_NO_ERROR) return 5;
    static_cast<void>(headers.release());  // it is the message's now
  }
  client.producer->flush(20000);
  return client.deliveries->count == count ? 0 : 6;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  std::vector<std::vector<std::string>> groups(1);
  for (int i = 2; i < argc; ++i) {
    if (std::string_view(argv[i]) == "--") {
      groups.emplace_back();
    } else {
      groups.back().emplace_back(argv[i]);
    }
  }
  std::vector<Client> clients;
  for (const auto& pairs : groups)
    clients.push_back(make_client(pairs));
  for (Client& client : clients) {
    if (const int status = produce(client, std::atoi(argv[1])); status != 0) return status;
  }
  return 0;
}
