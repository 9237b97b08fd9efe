// Commands read from the bytes that go to a server.

#include "resp.h"

#include <gtest/gtest.h>
#include <hiredis/hiredis.h>

#include <string>
#include <string_view>
#include <vector>

#include "support/allocations.h"

namespace midtrace {
namespace {

using redis::detail::Arguments;
using redis::detail::Command;
using redis::detail::CommandReader;
using redis::detail::formatted_command;
using redis::detail::read_command;
using namespace std::string_view_literals;

std::string encoded(const std::vector<std::string>& arguments) {
  std::string bytes = "*" + std::to_string(arguments.size()) + "\r\n";
  for (const std::string& each : arguments)
    bytes += "$" + std::to_string(each.size()) + "\r\n" + each + "\r\n";
  return bytes;
}

std::vector<std::string> decoded(const Command& command) {
  std::vector<std::string> arguments;
  for (Arguments left = command.arguments(); !left.empty();)
    arguments.emplace_back(left.take());
  return arguments;
}

TEST(RedisResp, OneCommandIsReadAsItWasFormatted) {
  const std::vector<std::vector<std::string>> cases = {
      {"PING"},
      {"GET", "key"},
      {"SET", "key", ""},
      {"SET", std::string("\0\r\n$3", 6), std::string("*1\r\n$4\r\nPING\r\n")},
      {"APPEND", "key", std::string(100'000, 'x')},
      std::vector<std::string>(5000, "a"),
  };
  for (const std::vector<std::string>& arguments : cases) {
    const std::string bytes = encoded(arguments);
    const std::optional<Command> command = read_command(bytes);
    ASSERT_TRUE(command) << arguments[0];
    EXPECT_EQ(command->argc(), arguments.size());
    EXPECT_EQ(command->bytes(), bytes);
    EXPECT_EQ(decoded(*command), arguments);
    EXPECT_EQ(command->argument(arguments.size() - 1), arguments.back());
    EXPECT_EQ(command->argument(arguments.size()), "");
  }
}

TEST(RedisResp, WhatHiredisFormatsIsRead) {
  char* bytes = nullptr;
  const int size = redisFormatCommand(&bytes, "SET k:%s %b %d", "", "a\0\r\n", std::size_t{4}, -17);
  ASSERT_GT(size, 0);
  const std::optional<Command> command = read_command({bytes, static_cast<std::size_t>(size)});
  ASSERT_TRUE(command);
  EXPECT_EQ(decoded(*command), (std::vector<std::string>{"SET", "k:", std::string("a\0\r\n", 4), "-17"}));
  redisFreeCommand(bytes);
}

TEST(RedisResp, SeveralCommandsAreReadInTheirOrder) {
  const std::string bytes = encoded({"MULTI"}) + encoded({"SET", "a", "1"}) + encoded({"EXEC"});
  CommandReader reader(bytes);
  std::vector<std::string> names;
  std::size_t total = 0;
  while (const std::optional<Command> command = reader.next()) {
    names.emplace_back(command->argument(0));
    total += command->bytes().size();
  }
  EXPECT_EQ(names, (std::vector<std::string>{"MULTI", "SET", "EXEC"}));
  EXPECT_EQ(total, bytes.size());
  EXPECT_FALSE(reader.malformed());
  EXPECT_FALSE(read_command(bytes)) << "that is more than one";
}

TEST(RedisResp, MalformedBytesGiveNothing) {
  for (const std::string_view bytes : {
           "PING\r\n"sv,
           "*"sv,
           "*1"sv,
           "*1\r"sv,
           "*1\r\n"sv,
           "*0\r\n"sv,
           "*-1\r\n"sv,
           "*+1\r\n$4\r\nPING\r\n"sv,
           "*01\r\n$4\r\nPING\r\n"sv,
           "* 1\r\n$4\r\nPING\r\n"sv,
           "*1\n$4\nPING\n"sv,
           "*1\r\n$4\r\nPING\r"sv,
           "*1\r\n$4\r\nPING"sv,
           "*1\r\n$4\r\nPINGS\r\n"sv,
           "*1\r\n$5\r\nPING\r\n"sv,
           "*1\r\n$\r\n\r\n"sv,
           "*1\r\n$-1\r\n"sv,
           "*1\r\n+PING\r\n"sv,
           "*1\r\n:4\r\n"sv,
           "*2\r\n$4\r\nPING\r\n"sv,
           "*1\r\n*1\r\n$4\r\nPING\r\n"sv,
           "*1\r\n$9999999999\r\nPING\r\n"sv,
           "*1\r\n$99999999999\r\nPING\r\n"sv,
           "*1\r\n$18446744073709551616\r\n\r\n"sv,
           "*9999999999\r\n$4\r\nPING\r\n"sv,
       }) {
    CommandReader reader(bytes);
    EXPECT_FALSE(reader.next()) << bytes;
    EXPECT_TRUE(reader.malformed()) << bytes;
    EXPECT_FALSE(read_command(bytes)) << bytes;
  }
}

TEST(RedisResp, NothingIsReadBehindAMalformedCommand) {
  const std::string bytes = encoded({"PING"}) + "*0\r\n" + encoded({"PING"});
  CommandReader reader(bytes);
  EXPECT_TRUE(reader.next());
  EXPECT_FALSE(reader.malformed());
  EXPECT_FALSE(reader.next());
  EXPECT_FALSE(reader.next());
  EXPECT_TRUE(reader.malformed());
}

TEST(RedisResp, AnEmptyBufferHasNoCommandAndNoError) {
  CommandReader reader("");
  EXPECT_FALSE(reader.next());
  EXPECT_FALSE(reader.malformed());
  EXPECT_FALSE(read_command(""));
  EXPECT_EQ(Arguments().take(), "");
}

TEST(RedisResp, ArraysOfArgumentsAreTakenTheSameWay) {
  const std::vector<std::string_view> array = {"GET", "key"};
  Arguments arguments(array);
  EXPECT_EQ(arguments.size(), 2u);
  EXPECT_EQ(arguments.take(), "GET");
  EXPECT_EQ(arguments.take(), "key");
  EXPECT_TRUE(arguments.empty());
  EXPECT_EQ(arguments.take(), "");
}

TEST(RedisResp, NothingIsAllocated) {
  if (!test::allocations_are_counted) GTEST_SKIP() << "the sanitizer has a heap of its own";
  const std::string bytes = encoded(std::vector<std::string>(10'000, "argument"));
  const std::uint64_t before = test::allocations_of_this_thread();
  std::size_t total = 0;
  for (Arguments left = read_command(bytes)->arguments(); !left.empty();)
    total += left.take().size();
  EXPECT_EQ(test::allocations_of_this_thread() - before, 0u);
  EXPECT_EQ(total, 80'000u);
}

TEST(RedisResp, WhatHiredisFormatsNeedNotBeRead) {
  char* bytes = nullptr;
  const int size = redisFormatCommand(&bytes, "SET %s %b", "k", "a\0b", std::size_t{3});
  ASSERT_GT(size, 0);
  const auto command = formatted_command({bytes, static_cast<std::size_t>(size)});
  ASSERT_TRUE(command);
  EXPECT_EQ(command->argc(), 3U);
  EXPECT_EQ(command->argument(0), "SET");
  EXPECT_EQ(command->argument(2), std::string_view("a\0b", 3));
  EXPECT_EQ(command->bytes(), std::string_view(bytes, static_cast<std::size_t>(size)));
  redisFreeCommand(bytes);
  EXPECT_FALSE(formatted_command("*0\r\n"));
}

}  // namespace
}  // namespace midtrace
