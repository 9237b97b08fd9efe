#include "options.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace midtrace::view {
namespace {

TEST(Options, AreReadInAnyOrderAmongFiles) {
  const Options options =
      parse({"a.jsonl", "--width", "120", "-", "--errors", "--trace=4BF9", "-a", "--all"});
  EXPECT_EQ(options.error, "");
  EXPECT_EQ(options.files, (std::vector<std::string>{"a.jsonl", "-"}));
  EXPECT_EQ(options.width, 120);
  EXPECT_TRUE(options.selection.errors_only);
  EXPECT_EQ(options.selection.trace_prefix, "4bf9");
  EXPECT_TRUE(options.attributes);
  EXPECT_FALSE(options.fold);
}

TEST(Options, AfterADoubleDashAreFiles) {
  EXPECT_EQ(parse({"--", "--errors"}).files, (std::vector<std::string>{"--errors"}));
}

TEST(Options, ThatMakeNoSenseAreNamedInTheError) {
  EXPECT_EQ(parse({"--frobnicate"}).error, "unknown option --frobnicate");
  EXPECT_EQ(parse({"--errors=yes"}).error, "unknown option --errors=yes");
  EXPECT_EQ(parse({"--width"}).error, "--width needs a value");
  for (const char* width : {"", "0", "-3", "80x", "99999999999999"}) {
    EXPECT_NE(parse({"--width", width}).error, "") << width;
  }
  for (const char* trace : {"", "xyz", "4bf92f3577b34da6a3ce929d0e0e47360"}) {
    EXPECT_NE(parse({"--trace", trace}).error, "") << trace;
  }
}

TEST(Colour, IsForTerminalsUnlessTheEnvironmentOrAnOptionSaysOtherwise) {
  Surroundings terminal;
  terminal.output_is_terminal = true;
  Surroundings no_color = terminal;
  no_color.no_color = "1";
  Surroundings dumb = terminal;
  dumb.term = "dumb";
  EXPECT_TRUE(finish(parse({}), terminal).colour);
  EXPECT_FALSE(finish(parse({}), Surroundings{}).colour);
  EXPECT_FALSE(finish(parse({}), no_color).colour);
  EXPECT_FALSE(finish(parse({}), dumb).colour);
  EXPECT_TRUE(finish(parse({"--color"}), no_color).colour);
  EXPECT_TRUE(finish(parse({"--color"}), Surroundings{}).colour);
  EXPECT_FALSE(finish(parse({"--no-color"}), terminal).colour);
}

TEST(Width, IsTheOptionThenTheTerminalThenColumnsThenAHundred) {
  Surroundings around;
  EXPECT_EQ(finish(parse({}), around).width, 100);
  around.columns = "72";
  EXPECT_EQ(finish(parse({}), around).width, 72);
  around.columns = "wide";
  EXPECT_EQ(finish(parse({}), around).width, 100);
  around.columns = "72";
  around.terminal_width = 132;
  EXPECT_EQ(finish(parse({}), around).width, 132);
  EXPECT_EQ(finish(parse({"--width=50"}), around).width, 50);
}

TEST(Unicode, IsUsedUnlessTheLocaleNamesAnotherCharacterSet) {
  Surroundings around;
  EXPECT_TRUE(finish(parse({}), around).unicode) << "containers rarely set a locale";
  for (const char* locale : {"C.UTF-8", "en_US.utf8", "de_DE.UTF-8@euro"}) {
    around.locale = locale;
    EXPECT_TRUE(finish(parse({}), around).unicode) << locale;
  }
  for (const char* locale : {"C", "POSIX", "en_US.ISO-8859-1"}) {
    around.locale = locale;
    EXPECT_FALSE(finish(parse({}), around).unicode) << locale;
  }
  EXPECT_TRUE(finish(parse({"--unicode"}), around).unicode);
  around.locale = "C.UTF-8";
  EXPECT_FALSE(finish(parse({"--ascii"}), around).unicode);
}

TEST(Help, NamesEveryOption) {
  for (const char* option : {"--attributes", "--trace", "--errors", "--all", "--width", "--color",
                             "--no-color", "--ascii", "--unicode", "--version", "--help"}) {
    EXPECT_NE(std::string(kHelp).find(option), std::string::npos) << option;
  }
}

}  // namespace
}  // namespace midtrace::view
