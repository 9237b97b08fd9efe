// MIDTRACE_<MODULE>=off|propagate|on.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include <midtrace/trace/counters.h>
#include <midtrace/trace/instrumentation.h>
#include <midtrace/trace/logger.h>

#include "trace/report.h"

namespace {

using midtrace::module_mode;
using midtrace::ModuleMode;

class ModuleModeOf : public testing::Test {
 protected:
  ~ModuleModeOf() override {
    for (const char* variable : {"MIDTRACE_KAFKA", "MIDTRACE_REDIS", "MIDTRACE_AMQP"})
      unsetenv(variable);
  }
};

TEST_F(ModuleModeOf, AModuleIsOnWhereNothingIsSaid) {
  unsetenv("MIDTRACE_KAFKA");
  EXPECT_EQ(module_mode("KAFKA"), ModuleMode::on);
  setenv("MIDTRACE_KAFKA", "", 1);
  EXPECT_EQ(module_mode("KAFKA"), ModuleMode::on);
}

TEST_F(ModuleModeOf, CaseAndSpacesDoNotMatter) {
  setenv("MIDTRACE_KAFKA", "off", 1);
  EXPECT_EQ(module_mode("KAFKA"), ModuleMode::off);
  setenv("MIDTRACE_KAFKA", "Propagate", 1);
  EXPECT_EQ(module_mode("KAFKA"), ModuleMode::propagate);
  setenv("MIDTRACE_KAFKA", " ON ", 1);
  EXPECT_EQ(module_mode("KAFKA"), ModuleMode::on);
}

TEST_F(ModuleModeOf, OneModuleDoesNotSpeakForAnother) {
  setenv("MIDTRACE_KAFKA", "off", 1);
  EXPECT_EQ(module_mode("REDIS"), ModuleMode::on);
}

TEST_F(ModuleModeOf, ANameThatIsTooLongIsHarmless) {
  EXPECT_EQ(module_mode(std::string(10000, 'X')), ModuleMode::on);
}

class KeptMessages final : public midtrace::Logger {
 public:
  void log(midtrace::Severity, std::string_view message) noexcept override { messages.emplace_back(message); }
  std::vector<std::string> messages;
};

TEST_F(ModuleModeOf, AnInvalidValueIsReportedOnceHoweverManyClientsAsk) {
  const auto logger = std::make_shared<KeptMessages>();
  midtrace::set_logger(logger);
  midtrace::forget_reports();
  const auto before = midtrace::counters()[midtrace::Counter::invalid_configuration];
  setenv("MIDTRACE_AMQP", "disabled", 1);
  EXPECT_EQ(module_mode("AMQP"), ModuleMode::on);
  midtrace::forget_reports();
  EXPECT_EQ(module_mode("AMQP"), ModuleMode::on);
  EXPECT_EQ(midtrace::counters()[midtrace::Counter::invalid_configuration] - before, 1U);
  EXPECT_THAT(logger->messages,
              testing::ElementsAre(
                  "MIDTRACE_AMQP is \"disabled\", which is none of off, propagate and on; using on"));
  midtrace::set_logger(nullptr);
}

}  // namespace
