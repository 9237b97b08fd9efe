// Where the tests of one CTest run find the RabbitMQ node that its fixture has started.
//
// The environment variable MIDTRACE_TEST_RABBITMQ_STATE, which CTest sets, names a directory. In it is one
// file per running CTest, named by its process id, which fixture and tests know as their parent's: two runs
// in one build tree do not meet. The process that owns the node holds a lock on the file as long as it lives,
// so that a file which a killed one has left says nothing.
//
// The file has one line, "missing <why>", or "node <pid> <port> <tls> <mapper> <distribution> <directory>".
#ifndef MIDTRACE_TESTS_SUPPORT_RABBITMQ_STATE_H_
#define MIDTRACE_TESTS_SUPPORT_RABBITMQ_STATE_H_

#include <filesystem>
#include <optional>
#include <string>

#include "support/rabbitmq_node.h"

namespace midtrace::test {

struct RabbitmqState {
  std::string missing;  // why there is no node, or empty
  pid_t owner = 0;
  RabbitmqAddress address;
};

// The state file of this run; empty outside of one.
std::filesystem::path rabbitmq_state_file();

// Nothing outside of a run, and where the owner has gone.
std::optional<RabbitmqState> read_rabbitmq_state();

// Writes into the open file.
bool write_rabbitmq_state(int descriptor, const RabbitmqState& state);

}  // namespace midtrace::test

#endif  // MIDTRACE_TESTS_SUPPORT_RABBITMQ_STATE_H_
