// No command shows an argument that is neither a key, by what the server says, nor a word of its syntax, nor
// a short number: calls of every command are made up, valid and not, and their texts are taken apart. What is
// shown beyond that is in a list made by hand.

#include <gtest/gtest.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "marker_calls.h"
#include "server_commands.h"

namespace midtrace {
namespace {

TEST(RedisSecrets, NothingIsShownThatIsNoKeyNoWordAndNotReviewed) {
  test::MarkerCounts counts;
  for (const test::ServerCommand& command : test::server_commands())
    test::expect_only_names_shown(command, counts);
  EXPECT_GT(counts.hidden, 100'000u);
  // Whatever is in the list is needed there.
  for (const auto& [name, rule] : test::reviewed())
    EXPECT_GT(counts.reviewed[std::string(name)], 0u) << name << ": " << rule.what;
}

TEST(RedisSecrets, KeysAreShownWhereTheServerHasThem) {
  // Commands whose calls in their shortest form are valid, so that the server's rule and ours both hold.
  std::size_t commands = 0;
  for (const test::ServerCommand& command : test::server_commands()) {
    if (command.keys.empty() || command.keys.find_first_of("@c") != std::string_view::npos) continue;
    const std::vector<std::string> call = test::shortest_call(command);
    const std::vector<test::Token> tokens = test::shown(call);
    const std::vector<bool> keys = test::keys_of(command, call);
    for (std::size_t at = 0; at < call.size(); ++at)
      EXPECT_TRUE(!keys[at] || tokens[at].text == "name") << command.name << " " << at;
    ++commands;
  }
  EXPECT_GE(commands, 170u);
}

}  // namespace
}  // namespace midtrace
