// The specification's rules for reading configuration variables.
#include "config/environment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <midtrace/trace/counters.h>
#include <midtrace/trace/logger.h>

#include "trace/report.h"
#include "variables.h"

namespace {

using midtrace_test::Variables;
using testing::ElementsAre;
using testing::IsEmpty;

TEST(Environment, AnEmptyValueCountsAsUnset) {
  Variables variables{{"EMPTY", ""}, {"SPACES", " \t "}};
  const auto environment = variables.environment();
  EXPECT_EQ(environment.verbatim("EMPTY"), std::nullopt);
  EXPECT_EQ(environment.text("EMPTY"), std::nullopt);
  EXPECT_EQ(environment.text("SPACES"), std::nullopt);
  EXPECT_EQ(environment.word("SPACES"), std::nullopt);
  EXPECT_EQ(environment.words("SPACES"), std::nullopt);
  EXPECT_EQ(environment.number("EMPTY", {}, 7), std::nullopt);
  EXPECT_FALSE(environment.boolean("EMPTY"));
  EXPECT_THAT(variables.warnings, IsEmpty());
}

TEST(Environment, AVerbatimValueKeepsItsSpaces) {
  Variables variables{{"NAME", " checkout "}};
  EXPECT_EQ(variables.environment().verbatim("NAME"), " checkout ");
  EXPECT_EQ(variables.environment().text("NAME"), "checkout");
}

TEST(Environment, WordsIgnoreCaseSpacesRepetitionsAndEmptyParts) {
  Variables variables{{"LIST", " Console , otlp_file,,CONSOLE,"}};
  EXPECT_THAT(*variables.environment().words("LIST"), ElementsAre("console", "otlp_file"));
}

TEST(Environment, OnlyTrueInAnyCaseIsTrue) {
  for (const char* value : {"true", "TRUE", "True", " true "}) {
    Variables variables{{"FLAG", value}};
    EXPECT_TRUE(variables.environment().boolean("FLAG")) << value;
    EXPECT_THAT(variables.warnings, IsEmpty());
  }
  Variables variables{{"FLAG", "False"}};
  EXPECT_FALSE(variables.environment().boolean("FLAG"));
  EXPECT_THAT(variables.warnings, IsEmpty());
}

TEST(Environment, EverythingElseIsFalseWithAWarning) {
  for (const char* value : {"1", "yes", "t", "truee"}) {
    Variables variables{{"FLAG", value}};
    EXPECT_FALSE(variables.environment().boolean("FLAG"));
    EXPECT_THAT(variables.warnings, ElementsAre("FLAG is \"" + std::string(value) +
                                                "\", which is neither true nor false; using false"));
  }
}

TEST(Environment, NumbersAreWholeAndInRange) {
  const auto read = [](const char* value) {
    Variables variables{{"COUNT", value}};
    return variables.environment().number("COUNT", {.least = 1, .most = 100}, 7);
  };
  EXPECT_EQ(read("1"), 1U);
  EXPECT_EQ(read(" 100 "), 100U);
  for (const char* value :
       {"0", "101", "-1", "1.5", "1e1", "ten", "10 ms", "0x10", "+5", "99999999999999999999"}) {
    EXPECT_EQ(read(value), std::nullopt) << value;
  }
}

TEST(Environment, TheLargestNumberOfTheSpecificationIsAccepted) {
  Variables variables{{"COUNT", "2147483647"}};
  EXPECT_EQ(variables.environment().number("COUNT", {}, 7), 2147483647U);
}

TEST(Environment, ABadNumberNamesTheVariableTheValueTheRangeAndWhatIsUsed) {
  Variables variables{{"DELAY", "soon"}, {"LENGTH", "-3"}};
  const auto environment = variables.environment();
  environment.number("DELAY", {.least = 1, .most = 50, .unit = "milliseconds"}, 20);
  environment.number("LENGTH", {}, 0xFFFFFFFFU);
  EXPECT_THAT(
      variables.warnings,
      ElementsAre("DELAY is \"soon\", which is not a whole number of milliseconds from 1 to 50; using 20",
                  "LENGTH is \"-3\", which is not a whole number from 0 to 2147483647; using no limit"));
}

TEST(Environment, WithoutVariablesIsEmptyButStillWarns) {
  Variables variables{{"FLAG", "maybe"}};
  const auto environment = variables.environment().without_variables();
  EXPECT_EQ(environment.verbatim("FLAG"), std::nullopt);
  environment.warn("cause", "a sentence");
  EXPECT_THAT(variables.warnings, ElementsAre("a sentence"));
}

TEST(Quoted, ForeignValuesCannotBreakALineOrFillALog) {
  EXPECT_EQ(midtrace::quoted("plain"), "\"plain\"");
  EXPECT_EQ(midtrace::quoted("two\nlines\x1B[31m"), "\"two?lines?[31m\"");
  EXPECT_EQ(midtrace::quoted(std::string(121, 'x')), "\"" + std::string(120, 'x') + "...\"");
  EXPECT_EQ(midtrace::quoted(std::string(120, 'x')), "\"" + std::string(120, 'x') + "\"");
}

TEST(Quoted, AValueIsNotCutInsideACharacter) {
  EXPECT_EQ(midtrace::quoted(std::string(119, 'x') + "\u20AC!"), "\"" + std::string(119, 'x') + "...\"");
}

class KeptMessages final : public midtrace::Logger {
 public:
  void log(midtrace::Severity severity, std::string_view message) noexcept override {
    std::lock_guard guard(mutex_);
    severities.push_back(severity);
    messages.emplace_back(message);
  }
  std::vector<midtrace::Severity> severities;
  std::vector<std::string> messages;

 private:
  std::mutex mutex_;
};

TEST(ProcessEnvironment, AProblemIsCountedEachTimeAndReportedOnceAMinute) {
  const auto logger = std::make_shared<KeptMessages>();
  midtrace::set_logger(logger);
  midtrace::forget_reports();
  ASSERT_EQ(setenv("MIDTRACE_TEST_FLAG", "maybe", 1), 0);
  const auto counted = [] { return midtrace::counters()[midtrace::Counter::invalid_configuration]; };
  const auto before = counted();
  const midtrace::Environment environment = midtrace::process_environment();
  EXPECT_FALSE(environment.boolean("MIDTRACE_TEST_FLAG"));
  EXPECT_FALSE(environment.boolean("MIDTRACE_TEST_FLAG"));
  EXPECT_EQ(counted() - before, 2U);
  EXPECT_THAT(logger->messages,
              ElementsAre("MIDTRACE_TEST_FLAG is \"maybe\", which is neither true nor false; using false"));
  EXPECT_THAT(logger->severities, ElementsAre(midtrace::Severity::warning));
  EXPECT_FALSE(midtrace::empty_environment().verbatim("MIDTRACE_TEST_FLAG").has_value());
  unsetenv("MIDTRACE_TEST_FLAG");
  midtrace::set_logger(nullptr);
}

}  // namespace
