// ReadyOptions: the user's options together with what the environment says. Made once for each Client,
// immutable, any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "command_policy.h"
#include "peer.h"

#include <midtrace/redis/options.h>
#include <midtrace/trace/instrumentation.h>
#include <midtrace/trace/tracer.h>

namespace midtrace {
inline namespace v1 {
namespace redis {
namespace detail {

struct ReadyOptions {
  explicit ReadyOptions(Options user);

  // `operation` is operation_name() of the command.
  bool ignores(const CommandPolicy* policy, std::string_view operation) const noexcept;

  bool old_names;
  Tracer tracer;
  Options user;
  std::string server_address;  // of Options::server_address; empty when there is none
  std::uint16_t server_port = 0;

 private:
  bool matches(std::string_view name) const noexcept;

  std::vector<std::string> patterns_;  // in capitals
  std::vector<bool> ignored_;          // by place in command_policies()
};

}  // namespace detail
}  // namespace redis
}  // namespace v1
}  // namespace midtrace
