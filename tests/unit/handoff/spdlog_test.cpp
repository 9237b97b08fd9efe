// spdlog's lines with trace ids.
#include <spdlog/logger.h>
#include <spdlog/sinks/ostream_sink.h>

#include <memory>
#include <sstream>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <midtrace/context/spdlog.h>
#include <midtrace/propagation/propagator.h>

namespace midtrace {
namespace {

class Spdlog : public ::testing::Test {
 protected:
  std::string lines() {
    logger_.flush();
    return stream_.str();
  }

  std::ostringstream stream_;
  spdlog::logger logger_{"shop", std::make_shared<spdlog::sinks::ostream_sink_mt>(stream_)};
  Context context_ = [] {
    Context context;
    context.span = parse_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    return context;
  }();
};

TEST_F(Spdlog, patternsMayNameTheIds) {
  logger_.set_formatter(spdlog_pattern("%l [%*,%~,%?] %v"));
  {
    const Scope scope(context_);
    logger_.info("order settled");
  }
  logger_.warn("idle");
  EXPECT_EQ(lines(),
            "info [0af7651916cd43dd8448eb211c80319c,b7ad6b7169203331,01] order settled\n"
            "warning [,,] idle\n");
}

TEST_F(Spdlog, patternsKeepTheirFlagsWhenTheyAreCloned) {
  const auto first = spdlog_pattern("%* %v");
  logger_.set_formatter(first->clone());
  const Scope scope(context_);
  logger_.info("x");
  EXPECT_EQ(lines(), "0af7651916cd43dd8448eb211c80319c x\n");
}

// A flag of ours would hide spdlog's own. What is a flag in some version only, like %& (the MDC, since 1.14),
// is printed as it is by others.
TEST_F(Spdlog, patternsLeaveSpdlogItsOwnFlags) {
  const std::string own_flags = "+nlLtvabhBcCYDxmdHIMSefFEprRTXzPAsg@#!%uioO^$&";
  const Scope scope(context_);
  for (const char flag : own_flags) {
    const std::string pattern = std::string("[%") + flag + "]";
    spdlog::details::log_msg message(spdlog::source_loc("settle.cpp", 12, "settle"), "shop",
                                     spdlog::level::info, "x");
    message.time = {};
    spdlog::memory_buf_t ours;
    spdlog_pattern(pattern)->format(message, ours);
    spdlog::memory_buf_t theirs;
    spdlog::pattern_formatter(pattern).format(message, theirs);
    EXPECT_EQ(std::string(ours.data(), ours.size()), std::string(theirs.data(), theirs.size())) << pattern;
  }
}

TEST_F(Spdlog, jsonLinesCarryTheIdsWhereASpanIsCurrent) {
  logger_.set_formatter(std::make_unique<SpdlogJsonFormatter>());
  {
    const Scope scope(context_);
    logger_.error("said \"no\"\nand left \xFF");
  }
  logger_.info("idle");
  std::istringstream all(lines());
  std::string line;
  ASSERT_TRUE(std::getline(all, line));
  const auto with = nlohmann::json::parse(line);
  EXPECT_EQ(with.at("level"), "error");
  EXPECT_EQ(with.at("logger"), "shop");
  EXPECT_EQ(with.at("message"), "said \"no\"\nand left \xEF\xBF\xBD");
  EXPECT_EQ(with.at("trace_id"), "0af7651916cd43dd8448eb211c80319c");
  EXPECT_EQ(with.at("span_id"), "b7ad6b7169203331");
  EXPECT_EQ(with.at("trace_flags"), "01");
  EXPECT_THAT(with.at("time").get<std::string>(),
              ::testing::MatchesRegex("[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\\.[0-9]{6}Z"));
  ASSERT_TRUE(std::getline(all, line));
  const auto without = nlohmann::json::parse(line);
  EXPECT_EQ(without.at("message"), "idle");
  EXPECT_FALSE(without.contains("trace_id"));
}

TEST_F(Spdlog, jsonLinesNameTheSourceWhereItIsKnown) {
  logger_.set_formatter(std::make_unique<SpdlogJsonFormatter>());
  logger_.log(spdlog::source_loc("settle.cpp", 12, "settle"), spdlog::level::info, "x");
  const auto line = nlohmann::json::parse(lines());
  EXPECT_EQ(line.at("source"), "settle.cpp");
  EXPECT_EQ(line.at("line"), 12);
}

}  // namespace
}  // namespace midtrace
