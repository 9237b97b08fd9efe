// W3C Baggage: each row is one rule, or one case of its test suite (w3c/baggage, test/test_baggage.py), as
// headers in and the header out of a service that passes everything on.
#include <midtrace/propagation/propagator.h>

#include <gtest/gtest.h>

#include <cstdio>
#include <string>
#include <vector>

#include "unit/propagation/list_carrier.h"

namespace {

using midtrace::Baggage;
using midtrace::BaggagePropagator;
using midtrace::Context;
using midtrace::Counter;
using midtrace_test::Counted;
using midtrace_test::ListCarrier;

Baggage extracted(const std::vector<ListCarrier::Field>& fields, bool like_http) {
  Context context;
  BaggagePropagator().extract(ListCarrier(fields, like_http), context);
  return context.baggage;
}

Baggage extracted(const std::vector<std::string>& headers, bool like_http = false) {
  std::vector<ListCarrier::Field> fields;
  for (const auto& header : headers)
    fields.emplace_back(like_http ? "Baggage" : "baggage", header);
  return extracted(fields, like_http);
}

std::string injected(const Baggage& baggage) {
  ListCarrier out;
  BaggagePropagator().inject({{}, baggage, false}, out);
  return out.fields().empty() ? "" : out.fields().front().second;
}

std::string members(std::size_t first, std::size_t count) {
  std::string result;
  for (std::size_t i = first; i < first + count; ++i)
    result += (i == first ? "k" : ",k") + std::to_string(i) + "=v";
  return result;
}

// Lines of one member each, of 1023 bytes.
std::vector<std::string> long_lines(std::size_t count) {
  std::vector<std::string> lines;
  for (std::size_t i = 0; i < count; ++i)
    lines.push_back(std::string(1, static_cast<char>('a' + i)) + "=" + std::string(1021, 'x'));
  return lines;
}

std::string joined(const std::vector<std::string>& lines) {
  std::string result;
  for (const auto& line : lines)
    result += (result.empty() ? "" : ",") + line;
  return result;
}

struct ForwardRow {
  const char* rule;
  std::vector<std::string> headers;
  std::string sent;
  std::uint64_t malformed = 0;
  std::uint64_t dropped = 0;
};

TEST(W3cBaggage, FollowsEveryRule) {
  const std::string token = "!#$%&'*+-.^_`|~09AZaz";
  const std::string octets = "!#$&'()*+-./09:<=>?@AZ[]^_`az{|}~";
  const std::string half(4094, 'x');
  const ForwardRow rows[] = {
      {"one member", {"key=value"}, "key=value"},
      {"several members", {"a=1,b=2,c=3"}, "a=1,b=2,c=3"},
      {"several headers", {"a=1,b=2", "c=3"}, "a=1,b=2,c=3"},
      {"blanks around everything", {" a = 1 ,\tb\t=\t2\t"}, "a=1,b=2"},
      {"empty value", {"a=,b=2"}, "a=,b=2"},
      {"every character of a name", {token + "=1"}, token + "=1"},
      {"every character of a value", {"a=" + octets}, "a=" + octets},
      {"blanks of both kinds around everything",
       {"SomeKey \t = \t SomeValue \t ; \t SomeProp \t , \t SomeKey2 \t = \t SomeValue2 \t ; \t ValueProp \t "
        "= \t PropVal"},
       "SomeKey=SomeValue;SomeProp,SomeKey2=SomeValue2;ValueProp \t = \t PropVal"},
      {"several properties of one name",
       {"SomeKey=SomeValue;SomeProp;SomeProp=PropValue;SomeProp=AnotherPropValue"},
       "SomeKey=SomeValue;SomeProp;SomeProp=PropValue;SomeProp=AnotherPropValue"},
      {"a property's value stays encoded",
       {"SomeKey=SomeValue;SomePropKey=%09%20%22%27%3B%3Dasdf%21%40%23%24%25%5E%26%2A%28%29"},
       "SomeKey=SomeValue;SomePropKey=%09%20%22%27%3B%3Dasdf%21%40%23%24%25%5E%26%2A%28%29"},
      {"a property's name is not decoded",
       {"SomeKey=SomeValue;ValueProp%20%09%20%3D%20%09%20PropVal"},
       "SomeKey=SomeValue;ValueProp%20%09%20%3D%20%09%20PropVal"},
      {"delimiters in a value are encoded, and nothing that need not be",
       {"SomeKey \t = \t %09%20%22%27%3B%3Dasdf%21%40%23%24%25%5E%26%2A%28%29 \t "},
       "SomeKey=%09%20%22'%3B=asdf!@#$%25^&*()"},
      {"equals signs in a value", {"a=b=c=="}, "a=b=c=="},
      {"names are case-sensitive", {"Key=1,key=2"}, "Key=1,key=2"},
      {"the name is not decoded", {"a%20b=1"}, "a%20b=1"},
      {"a property", {"a=1;p"}, "a=1;p"},
      {"properties stay as they are", {"a=1;p1;p2=x%20y ; p3 = z"}, "a=1;p1;p2=x%20y ; p3 = z"},
      {"blanks around the properties are trimmed", {"a=1 \t;  p1;p2 , b=2"}, "a=1;p1;p2,b=2"},
      {"the last of two duplicates wins, in its place", {"a=1,b=2,a=3"}, "a=3,b=2"},
      {"duplicates over several headers", {"a=1;p", "a=2"}, "a=2"},
      {"empty members are skipped", {",a=1,,b=2, ,"}, "a=1,b=2"},
      {"empty header", {""}, ""},
      {"no semicolon remains without properties", {"a=1;"}, "a=1"},

      {"space is %20", {"a=x%20y"}, "a=x%20y"},
      {"plus is a plus", {"a=x+y"}, "a=x+y"},
      {"escapes that are not needed are gone", {"a=%41%62%2b"}, "a=Ab+"},
      {"needed escapes are in upper case", {"a=%2c%3b%5c%22%25"}, "a=%2C%3B%5C%22%25"},
      {"UTF-8 of two, three and four bytes",
       {"a=%C3%A9%E2%82%AC%F0%9F%98%80"},
       "a=%C3%A9%E2%82%AC%F0%9F%98%80"},
      {"control characters may be escaped", {"a=%00%0A%7F"}, "a=%00%0A%7F"},
      {"a lone per cent sign is one", {"a=100%"}, "a=100%25"},
      {"a per cent sign without digits is one", {"a=%zz%4"}, "a=%25zz%254"},

      {"no equals sign", {"a,b=2"}, "b=2", 1},
      {"no name", {"=1,b=2"}, "b=2", 1},
      {"blank in a name", {"a b=1,c=2"}, "c=2", 1},
      {"name outside ASCII", {"\xc3\xa9=1,c=2"}, "c=2", 1},
      {"delimiter in a name", {"a(b=1,c=2"}, "c=2", 1},
      {"blank in a value", {"a=x y,c=2"}, "c=2", 1},
      {"quotes in a value", {"a=\"x\",c=2"}, "c=2", 1},
      {"backslash in a value", {"a=x\\y,c=2"}, "c=2", 1},
      {"bytes outside ASCII in a value", {"a=\xc3\xa9,c=2"}, "c=2", 1},
      {"control character in a value", {"a=x\x01y,c=2"}, "c=2", 1},
      {"NUL in a value", {std::string("a=x\0y,c=2", 9)}, "c=2", 1},
      {"line break in a value", {"a=x\r\nb: c,c=2"}, "c=2", 1},
      {"bad properties are left out, their member stays", {"a=1;\"p\",c=2"}, "a=1,c=2", 1},
      {"an empty property", {"a=1;p;;q"}, "a=1", 1},
      {"a property without a name", {"a=1;=x"}, "a=1", 1},
      {"nothing valid", {"a"}, "", 1},

      {"64 members", {members(0, 64)}, members(0, 64)},
      {"the 65th is dropped", {members(0, 65)}, members(0, 64), 0, 1},
      {"180 members, as earlier versions allowed, and more", {members(0, 200)}, members(0, 64), 0, 136},
      {"200 headers of one member", std::vector<std::string>(200, "a=1"), "a=1"},
      {"64 members over two headers", {members(0, 32), members(32, 33)}, members(0, 64), 0, 1},
      {"a duplicate is no further member", {members(0, 64) + ",k0=w"}, "k0=w" + members(0, 64).substr(4)},
      {"8192 bytes", {"a=" + half + ",b=" + half.substr(1)}, "a=" + half + ",b=" + half.substr(1)},
      {"8193 bytes", {"a=" + half + ",b=" + half}, "a=" + half, 0, 1},
      {"8192 bytes of one member", {"a=" + std::string(8190, 'x')}, "a=" + std::string(8190, 'x')},
      {"8193 bytes of one member", {"a=" + std::string(8191, 'x') + ",b=2"}, "b=2", 0, 1},
      {"properties count", {"a=" + half + ",b=" + half.substr(2) + ";p"}, "a=" + half, 0, 1},
      {"a smaller one behind a dropped one stays",
       {"a=" + half + ",b=" + half + ",c=3"},
       "a=" + half + ",c=3",
       0,
       1},
      {"8191 bytes over eight headers", long_lines(8), joined(long_lines(8))},
      {"more over twelve", long_lines(12), joined(long_lines(8)), 0, 4},
      {"what is behind 64 KiB is not looked at, not even in the next header",
       {"a=1," + std::string(65536, ' ') + ",y=1,x=1", "z=1"},
       "a=1",
       0,
       3},
      {"what ends there is", {"a=1," + std::string(65530, ' ') + ",b=1", "c=1"}, "a=1,b=1", 0, 1},
      {"64 KiB of nothing", {std::string(70000, ','), "a=1"}, "", 0, 70000 - 65536 + 2},
      {"blanks do not count",
       {"a=" + half + "   ,   b=" + half.substr(1)},
       "a=" + half + ",b=" + half.substr(1)},
  };
  for (const auto& row : rows) {
    const Counted counted;
    EXPECT_EQ(injected(extracted(row.headers)), row.sent) << row.rule;
    EXPECT_EQ(injected(extracted(row.headers, true)), row.sent) << row.rule << ", on HTTP";
    EXPECT_EQ(counted[Counter::extract_malformed_baggage], 2 * row.malformed) << row.rule;
    EXPECT_EQ(counted[Counter::baggage_members_dropped], 2 * row.dropped) << row.rule;
  }
}

TEST(W3cBaggage, HasANameInAnyCaseOnHttpOnly) {
  const std::vector<ListCarrier::Field> fields{{"BAGGAGE", "a=1"}, {"Baggage", "b=2"}, {"baggage", "c=3"}};
  EXPECT_EQ(injected(extracted(fields, true)), "a=1,b=2,c=3");
  EXPECT_EQ(injected(extracted(fields, false)), "c=3");
}

struct MetadataRow {
  const char* rule;
  std::string metadata;  // as an application sets it
  std::string sent;
};

TEST(W3cBaggage, SendsAMemberWithoutMetadataThatAHeaderCannotHold) {
  const MetadataRow rows[] = {
      {"a property", "p", "a=1;p,b=2"},
      {"with a value", "p=%20x;q", "a=1;p=%20x;q,b=2"},
      {"quotes", "\"p\"", "a=1,b=2"},
      {"a comma, which would begin a member", "p,c=3", "a=1,b=2"},
      {"a line break, which would begin a header", "p\r\nx: y", "a=1,b=2"},
      {"NUL", std::string("p\0q", 3), "a=1,b=2"},
      {"a blank in a name", "p q", "a=1,b=2"},
      {"a blank in a value", "p=q r", "a=1,b=2"},
      {"bytes outside ASCII", "p=\xC3\xA9", "a=1,b=2"},
      {"an empty property", "p;", "a=1,b=2"},
      {"no name", "=p", "a=1,b=2"},
  };
  for (const auto& row : rows)
    EXPECT_EQ(injected(Baggage().with("a", "1", row.metadata).with("b", "2")), row.sent) << row.rule;
}

struct DecodeRow {
  const char* rule;
  std::string wire;
  std::string value;
};

// Each maximal part of a sequence that cannot be continued is one U+FFFD.
TEST(W3cBaggage, ReplacesWhatIsNotUtf8) {
  const std::string bad = "\xEF\xBF\xBD";
  const DecodeRow rows[] = {
      {"a continuation without a start", "%80", bad},
      {"two of them", "%80%BF", bad + bad},
      {"a start at the end", "%C3", bad},
      {"a start before a letter", "%C3x", bad + "x"},
      {"a start before a start", "%C3%C3%A9", bad + "\xC3\xA9"},
      {"an escaped start continued by a plain character", "%E2%82x", bad + "x"},
      {"a cut sequence of three", "%E2%82", bad},
      {"a cut sequence of four", "%F0%9F%98", bad},
      {"overlong in two bytes", "%C0%AF", bad + bad},
      {"overlong in three bytes", "%E0%80%AF", bad + bad + bad},
      {"overlong in four bytes", "%F0%80%80%AF", bad + bad + bad + bad},
      {"a surrogate", "%ED%A0%80", bad + bad + bad},
      {"the last before the surrogates", "%ED%9F%BF", "\xED\x9F\xBF"},
      {"the last code point", "%F4%8F%BF%BF", "\xF4\x8F\xBF\xBF"},
      {"beyond the last code point", "%F4%90%80%80", bad + bad + bad + bad},
      {"bytes that never occur", "%F5%FE%FF", bad + bad + bad},
      {"the replacement character itself", "%EF%BF%BD", bad},
      {"letters around it", "a%FFb", "a" + bad + "b"},
  };
  for (const auto& row : rows)
    EXPECT_EQ(extracted({"a=" + row.wire}).get("a"), row.value) << row.rule;
}

TEST(W3cBaggage, EncodesEveryByteThatIsNotPlain) {
  const std::string plain =
      "!#$&'()*+-./0123456789:<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[]^_`abcdefghijklmnopqrstuvwxyz{|}~";
  for (int byte = 0; byte < 256; ++byte) {
    const char c = static_cast<char>(byte);
    char escaped[4];
    std::snprintf(escaped, sizeof escaped, "%%%02X", static_cast<unsigned>(byte));
    EXPECT_EQ(injected(Baggage().with("a", std::string(1, c))),
              plain.find(c) != std::string::npos ? std::string("a=") + c : std::string("a=") + escaped);
  }
}

TEST(W3cBaggage, MembersThatGrowOverTheLimitByEncodingAreDroppedWhole) {
  const Counted counted;
  const auto baggage = extracted({"big=" + std::string(8000, '%') + ",small=1"});
  EXPECT_EQ(baggage.size(), 2U);
  EXPECT_EQ(injected(baggage), "small=1");
  EXPECT_EQ(counted[Counter::baggage_members_dropped], 1U);
}

}  // namespace
