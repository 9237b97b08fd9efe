#include "conformance/vocabulary.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>
#include <stdexcept>

namespace {

using midtrace::AttributeType;
using midtrace::testing::OwnedAttribute;
using midtrace::testing::OwnedSpan;
using midtrace_test::unknown_attributes;
using midtrace_test::Vocabulary;

OwnedSpan span(std::vector<OwnedAttribute> attributes) {
  OwnedSpan result{};
  result.name = "send orders";
  result.attributes = std::move(attributes);
  return result;
}

TEST(Vocabulary, KnowsTheAttributesOfTheConventions) {
  EXPECT_EQ(unknown_attributes({span({{"messaging.system", std::string("kafka"), AttributeType::string},
                                      {"messaging.kafka.offset", std::int64_t{7}, AttributeType::integer},
                                      {"messaging.destination.temporary", true, AttributeType::boolean},
                                      {"midtrace.messaging.queue_time", 0.5, AttributeType::real},
                                      {"db.query.parameter.0", std::string("?"), AttributeType::string}})}),
            std::vector<std::string>{});
}

TEST(Vocabulary, NamesUnknownKeysAndWrongTypesOnce) {
  const auto wrong = span({{"messaging.sytem", std::string("kafka"), AttributeType::string},
                           {"server.port", std::string("9092"), AttributeType::string},
                           {"messaging.system", std::string("[a]"), AttributeType::string_array},
                           {"db.query.parameter.", std::string("?"), AttributeType::string},
                           {"db.query.parameter.x", std::int64_t{1}, AttributeType::integer}});
  EXPECT_EQ(unknown_attributes({wrong, wrong}),
            (std::vector<std::string>{
                "span \"send orders\": messaging.sytem is not in the vocabulary",
                "span \"send orders\": server.port is string, the vocabulary says int",
                "span \"send orders\": messaging.system is string[], the vocabulary says string",
                "span \"send orders\": db.query.parameter. is not in the vocabulary",
                "span \"send orders\": db.query.parameter.x is int, the vocabulary says string",
            }));
}

TEST(Vocabulary, LooksIntoEventsAndLinks) {
  OwnedSpan checked = span({});
  checked.events.push_back({"exception", 0, {{"exception.typ", std::string("x"), AttributeType::string}}});
  checked.links.push_back({{}, {{"messaging.offset", std::int64_t{1}, AttributeType::integer}}});
  EXPECT_EQ(unknown_attributes({checked}),
            (std::vector<std::string>{
                "span \"send orders\", event \"exception\": exception.typ is not in the vocabulary",
                "span \"send orders\", a link: messaging.offset is not in the vocabulary",
            }));
}

TEST(Vocabulary, RefusesLinesItDoesNotUnderstand) {
  EXPECT_EQ(Vocabulary("key\ttype\n\na.b\tint\tstable\tx\n").size(), 1U);
  EXPECT_THROW(Vocabulary("key\ttype\na.b\tnumber\tstable\n"), std::runtime_error);
  EXPECT_THROW(Vocabulary("key\ttype\na.b\n"), std::runtime_error);
}

// The constants that the modules use and the vocabulary are two lists of the same thing.
TEST(Vocabulary, HasEveryConstantOfTheAttributesHeaderWithItsType) {
  std::ifstream file(MIDTRACE_ATTRIBUTES_HEADER);
  ASSERT_TRUE(file) << MIDTRACE_ATTRIBUTES_HEADER;
  const std::string header(std::istreambuf_iterator<char>(file), {});
  const std::map<std::string_view, AttributeType> types{{"std::string_view", AttributeType::string},
                                                        {"bool", AttributeType::boolean},
                                                        {"std::int64_t", AttributeType::integer},
                                                        {"double", AttributeType::real}};
  // Each is `AttributeKey<type> identifier{"name"};`.
  constexpr std::string_view begin = "AttributeKey<";
  std::size_t constants = 0;
  for (std::size_t at = header.find(begin); at != std::string::npos;
       at = header.find(begin, at), ++constants) {
    at += begin.size();
    const std::size_t brace = header.find('{', at);
    const std::string declared = header.substr(at, brace - at);
    const std::size_t space = declared.find("> ");
    const std::size_t quote = header.find('"', brace) + 1;
    const std::string key = header.substr(quote, header.find('"', quote) - quote);
    ASSERT_NE(space, std::string::npos) << declared;
    ASSERT_EQ(types.count(declared.substr(0, space)), 1U) << declared;
    EXPECT_EQ(midtrace_test::vocabulary().problem_of(key, types.at(declared.substr(0, space))), "");
    std::string identifier = key;
    std::replace(identifier.begin(), identifier.end(), '.', '_');
    const std::string written = declared.substr(space + 2);
    EXPECT_TRUE(written == identifier || written == "deprecated_" + identifier) << written;
  }
  // The templates have no constant: their keys are made at run time.
  EXPECT_EQ(constants, midtrace_test::vocabulary().size() - 3);
}

}  // namespace
