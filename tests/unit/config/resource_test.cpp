// Who produced the telemetry: precedence, percent-encoding, fallbacks.
#include "config/resource.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include <midtrace/trace/counters.h>

#include "variables.h"

namespace {

using midtrace::make_resource;
using midtrace::Resource;
using midtrace::ResourceAttribute;
using midtrace::ResourceValue;
using midtrace_test::Variables;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

std::string text(const Resource& resource, std::string_view key) {
  const ResourceValue* value = resource.find(key);
  return value == nullptr ? "(absent)" : std::get<std::string>(*value);
}

std::vector<std::string> keys(const Resource& resource) {
  std::vector<std::string> result;
  for (const ResourceAttribute& attribute : resource.attributes())
    result.push_back(attribute.key);
  return result;
}

TEST(ResourceOfNothing, NamesTheExecutableAndTheSdk) {
  Variables variables{};
  const Resource resource = make_resource("", {}, variables.environment());
  EXPECT_EQ(text(resource, "service.name"), "unknown_service:midtrace_config_test");
  EXPECT_EQ(text(resource, "telemetry.sdk.name"), "midtrace");
  EXPECT_EQ(text(resource, "telemetry.sdk.language"), "cpp");
  EXPECT_EQ(text(resource, "telemetry.sdk.version"), "0.1.0");
  EXPECT_THAT(keys(resource), ElementsAre("service.name", "telemetry.sdk.name", "telemetry.sdk.language",
                                          "telemetry.sdk.version"));
  EXPECT_THAT(variables.warnings, IsEmpty());
}

TEST(ResourcePrecedence, CodeBeatsServiceNameBeatsResourceAttributes) {
  Variables attributes{{"OTEL_RESOURCE_ATTRIBUTES", "service.name=a,deployment.environment.name=prod"}};
  EXPECT_EQ(text(make_resource("", {}, attributes.environment()), "service.name"), "a");

  Variables both{{"OTEL_RESOURCE_ATTRIBUTES", "service.name=a,deployment.environment.name=prod"},
                 {"OTEL_SERVICE_NAME", "b"}};
  EXPECT_EQ(text(make_resource("", {}, both.environment()), "service.name"), "b");
  EXPECT_EQ(text(make_resource("", {{"service.name", "c"}}, both.environment()), "service.name"), "c");
  EXPECT_EQ(text(make_resource("d", {{"service.name", "c"}}, both.environment()), "service.name"), "d");

  const Resource mixed = make_resource("d", {{"deployment.environment.name", "test"}}, both.environment());
  EXPECT_EQ(text(mixed, "deployment.environment.name"), "test");
}

TEST(ResourcePrecedence, AnAttributeOfCodeKeepsItsType) {
  Variables variables{};
  const Resource resource =
      make_resource("", {{"int", std::int64_t{7}}, {"real", 0.5}, {"flag", true}}, variables.environment());
  EXPECT_EQ(std::get<std::int64_t>(*resource.find("int")), 7);
  EXPECT_EQ(std::get<double>(*resource.find("real")), 0.5);
  EXPECT_EQ(std::get<bool>(*resource.find("flag")), true);
}

TEST(ResourceOfCode, LeavesOutWhatHasNoKeyWithAWarning) {
  Variables variables{};
  const Resource resource =
      make_resource("s", {{"team", "a"}, {"", "secret value"}, {"tier", "b"}}, variables.environment());
  EXPECT_EQ(text(resource, ""), "(absent)");
  EXPECT_EQ(text(resource, "team"), "a");
  EXPECT_EQ(text(resource, "tier"), "b");
  ASSERT_EQ(variables.warnings.size(), 1U);
  EXPECT_THAT(variables.warnings[0], HasSubstr("SetupOptions::resource has an attribute without a key"));
  EXPECT_THAT(variables.warnings[0], Not(HasSubstr("secret value")));
}

TEST(ResourceOfCode, WithoutAKeyIsCountedAsInvalidConfiguration) {
  const auto before = midtrace::counters()[midtrace::Counter::invalid_configuration];
  make_resource("s", {{"", "value"}}, midtrace::empty_environment());
  EXPECT_EQ(midtrace::counters()[midtrace::Counter::invalid_configuration], before + 1);
}

TEST(ResourceAttributes, BothSidesArePercentDecodedAndTrimmed) {
  Variables variables{{"OTEL_RESOURCE_ATTRIBUTES", " team = a%2Cb%3D%25 ,k%C3%A4se=%e2%82%ac,empty="}};
  const Resource resource = make_resource("s", {}, variables.environment());
  EXPECT_EQ(text(resource, "team"), "a,b=%");
  EXPECT_EQ(text(resource, "k\u00E4se"), "\u20AC");
  EXPECT_EQ(text(resource, "empty"), "");
  EXPECT_THAT(variables.warnings, IsEmpty());
}

TEST(ResourceAttributes, AnErrorAnywhereDiscardsTheWholeValue) {
  struct Case {
    const char* value;
    const char* problem;
  };
  for (const Case& bad :
       {Case{"a=1,b", "its member \"b\" has no '='"},
        Case{"a=1,=2", "its member \"=2\" has no key before '='"}, Case{"a=1,", "its member \"\" has no '='"},
        Case{"a=1,b=%4", "its member \"b=%4\" has a '%' that two hexadecimal digits do not follow"},
        Case{"a=1,b=%zz", "has a '%' that two hexadecimal digits do not follow"},
        Case{"a=1,%=x", "has a '%' that two hexadecimal digits do not follow"},
        Case{"a=1,b=%FF", "its member \"b=%FF\" is not UTF-8"}}) {
    Variables variables{{"OTEL_RESOURCE_ATTRIBUTES", bad.value}};
    const Resource resource = make_resource("s", {}, variables.environment());
    EXPECT_EQ(text(resource, "a"), "(absent)") << bad.value;
    ASSERT_EQ(variables.warnings.size(), 1U) << bad.value;
    EXPECT_THAT(variables.warnings[0],
                HasSubstr("OTEL_RESOURCE_ATTRIBUTES is \"" + std::string(bad.value) + "\""));
    EXPECT_THAT(variables.warnings[0], HasSubstr(bad.problem));
    EXPECT_THAT(variables.warnings[0], HasSubstr("using none of it"));
  }
}

TEST(ResourceValueType, ALaterEntryOfAKeyReplacesTheEarlierInItsPlace) {
  const Resource resource({{"a", std::int64_t{1}}, {"b", std::int64_t{2}}, {"a", std::string("three")}});
  EXPECT_THAT(keys(resource), ElementsAre("a", "b"));
  EXPECT_EQ(text(resource, "a"), "three");
  EXPECT_EQ(resource.find("c"), nullptr);
}

}  // namespace
