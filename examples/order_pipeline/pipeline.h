// What the two programs of the order pipeline agree on: their command line, the topics, and where a run
// begins.
//
// checkout writes a start file when the broker is ready: the bootstrap address on the first line, then one
// line `topic offset` per topic, so that fulfilment reads this run's orders only, also on a broker that has
// seen others. Single-threaded programs; errors end them with a sentence on standard error.
#pragma once

#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <string>
#include <string_view>

namespace pipeline {

// Orders that are handled one by one, and those that wait for a lorry and are handled in batches.
inline constexpr const char* orders_topic = "orders";
inline constexpr const char* bulk_orders_topic = "bulk-orders";
inline constexpr std::int32_t partition = 0;

// Every third order is a bulk order; every seventh of the others asks for something that is out of stock.
inline bool is_bulk(std::uint64_t order) { return order % 3 == 0; }
inline bool is_out_of_stock(std::uint64_t order) { return !is_bulk(order) && order % 7 == 0; }
inline std::uint64_t bulk_count(std::uint64_t orders) { return orders / 3; }

[[noreturn]] inline void fail(const std::string& sentence) {
  std::fprintf(stderr, "%s\n", sentence.c_str());
  std::exit(1);
}

struct Arguments {
  std::uint64_t orders = 10;
  std::string bootstrap;   // empty: checkout starts librdkafka's own broker
  std::string start_file;  // where checkout says that it is ready
};

inline Arguments parse_arguments(int count, char** values) {
  Arguments arguments;
  for (int i = 1; i < count; ++i) {
    const std::string_view name = values[i];
    if (name == "--help" || i + 1 == count) {
      std::printf("Usage: %s --orders N --start-file FILE [--bootstrap HOST:PORT]\n", values[0]);
      std::exit(name == "--help" ? 0 : 2);
    }
    const std::string value = values[++i];
    if (name == "--orders") {
      const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), arguments.orders);
      if (error != std::errc() || end != value.data() + value.size() || arguments.orders == 0) {
        fail("--orders is \"" + value + "\"; it must be a positive number.");
      }
    } else if (name == "--bootstrap") {
      arguments.bootstrap = value;
    } else if (name == "--start-file") {
      arguments.start_file = value;
    } else {
      fail("Unknown option \"" + std::string(name) + "\"; --help lists them.");
    }
  }
  if (arguments.start_file.empty()) fail("--start-file is missing; --help lists the options.");
  return arguments;
}

struct Start {
  std::string bootstrap;
  std::map<std::string, std::int64_t> offsets;
};

inline void write_start(const std::string& path, const Start& start) {
  {
    std::ofstream file(path + ".part");
    file << start.bootstrap << '\n';
    for (const auto& [topic, offset] : start.offsets)
      file << topic << ' ' << offset << '\n';
    if (!file.flush())
      fail("The start file \"" + path + "\" cannot be written; choose a directory that can.");
  }
  // Renamed when complete, so that nobody reads half of it.
  if (std::rename((path + ".part").c_str(), path.c_str()) != 0) fail("\"" + path + "\" cannot be made.");
}

inline Start read_start(const std::string& path) {
  std::ifstream file(path);
  Start start;
  std::string topic;
  std::int64_t offset = 0;
  if (!std::getline(file, start.bootstrap)) fail("The start file \"" + path + "\" cannot be read.");
  while (file >> topic >> offset)
    start.offsets[topic] = offset;
  return start;
}

}  // namespace pipeline
