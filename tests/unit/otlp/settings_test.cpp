// Where the exporter sends and how: the OTEL_EXPORTER_OTLP_* variables, the options, and what is wrong with
// them.
#include "settings.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "../config/variables.h"
#include "fixture.h"
#include "support/child_process.h"

namespace {

using midtrace::otlp::Compression;
using midtrace::otlp::ExporterOptions;
using midtrace::otlp::Header;
using midtrace::otlp::Protocol;
using midtrace::otlp::Settings;
using midtrace_test::OtlpHttp;
using midtrace_test::Variables;
using std::chrono::milliseconds;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

Settings settings_of(Variables& variables, const ExporterOptions& options = {}) {
  return midtrace::otlp::make_settings(options, variables.environment());
}

// --- the endpoint

struct EndpointCase {
  const char* name;
  std::string general;
  std::string traces;
  std::string url;
};
class OtlpEndpoint : public testing::TestWithParam<EndpointCase> {};
TEST_P(OtlpEndpoint, BecomesThisUrl) {
  Variables variables{{"OTEL_EXPORTER_OTLP_ENDPOINT", GetParam().general},
                      {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", GetParam().traces}};
  const Settings settings = settings_of(variables);
  EXPECT_EQ(settings.problem, "");
  EXPECT_EQ(settings.url, GetParam().url);
  EXPECT_THAT(variables.warnings, IsEmpty());
}
INSTANTIATE_TEST_SUITE_P(
    Rules, OtlpEndpoint,
    testing::ValuesIn(std::vector<EndpointCase>{
        {"Unset", "", "", "http://localhost:4318/v1/traces"},
        {"Base", "http://collector:4318", "", "http://collector:4318/v1/traces"},
        {"BaseWithSlash", "http://collector:4318/", "", "http://collector:4318/v1/traces"},
        {"BaseWithPath", "https://collector/otlp", "", "https://collector/otlp/v1/traces"},
        {"BaseWithPathAndSlash", "https://collector/otlp/", "", "https://collector/otlp/v1/traces"},
        {"BaseWithQuery", "https://collector/otlp?key=1", "", "https://collector/otlp/v1/traces?key=1"},
        {"BaseWithAddress", "http://[::1]:4318", "", "http://[::1]:4318/v1/traces"},
        {"Traces", "", "https://collector/my/place", "https://collector/my/place"},
        {"TracesWithoutPath", "", "http://collector:4318", "http://collector:4318"},
        {"TracesWithSlash", "", "http://collector:4318/", "http://collector:4318/"},
        {"TracesBeatBase", "http://base:1", "http://traces:2/x", "http://traces:2/x"},
        {"Spaces", " http://collector:4318 ", "", "http://collector:4318/v1/traces"},
    }),
    [](const auto& one) { return one.param.name; });

TEST(OtlpSettings, AnEndpointInCodeIsUsedAsItStandsAndBeatsTheEnvironment) {
  Variables variables{{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://traces:2/x"}};
  EXPECT_EQ(settings_of(variables, {.endpoint = "http://code:3"}).url, "http://code:3");
}

class OtlpWrongEndpoint : public testing::TestWithParam<const char*> {};
TEST_P(OtlpWrongEndpoint, IsAProblemForSetup) {
  for (const char* variable : {"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"}) {
    Variables variables{{variable, GetParam()}};
    EXPECT_THAT(settings_of(variables).problem,
                AllOf(HasSubstr(variable), HasSubstr(GetParam()), HasSubstr("http://localhost:4318")));
  }
}
INSTANTIATE_TEST_SUITE_P(Values, OtlpWrongEndpoint,
                         testing::Values("localhost:4318", "collector", "ftp://collector", "http://",
                                         "http:///v1/traces", "http:/v1/traces", "http:/path://collector",
                                         "http://collector:notaport", "http://collector:99999",
                                         "file:///etc/passwd", "http://two words"));

TEST(OtlpSettings, APasswordInTheEndpointIsNeverShown) {
  Variables good{{"OTEL_EXPORTER_OTLP_ENDPOINT", "https://user:secret@collector:4318?token=secret"}};
  const Settings settings = settings_of(good);
  EXPECT_THAT(settings.url, HasSubstr("user:secret@"));
  EXPECT_EQ(settings.shown_url, "https://collector:4318/v1/traces");
  Variables bad{{"OTEL_EXPORTER_OTLP_ENDPOINT", "htp://user:secret@collector"}};
  EXPECT_THAT(settings_of(bad).problem,
              AllOf(HasSubstr("OTEL_EXPORTER_OTLP_ENDPOINT"), Not(HasSubstr("secret"))));
}

// --- protocol, compression, timeout

TEST(OtlpSettings, WhatIsUnsetHasTheSpecificationsDefaults) {
  Variables variables{};
  const Settings settings = settings_of(variables);
  EXPECT_EQ(settings.protocol, Protocol::http_protobuf);
  EXPECT_EQ(settings.compression, Compression::none);
  EXPECT_EQ(settings.timeout, milliseconds(10000));
  EXPECT_THAT(settings.header_lines, IsEmpty());
  EXPECT_EQ(settings.request_bytes, 64U * 1024 * 1024);
  EXPECT_EQ(settings.response_bytes, 4U * 1024 * 1024);
}

TEST(OtlpSettings, VariablesForTracesBeatTheGeneralOnes) {
  Variables variables{{"OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"},
                      {"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "HTTP/JSON"},
                      {"OTEL_EXPORTER_OTLP_COMPRESSION", "none"},
                      {"OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "gzip"},
                      {"OTEL_EXPORTER_OTLP_TIMEOUT", "1"},
                      {"OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "2"},
                      {"OTEL_EXPORTER_OTLP_HEADERS", "a=1,b=2"},
                      {"OTEL_EXPORTER_OTLP_TRACES_HEADERS", "c=3"}};
  const Settings settings = settings_of(variables);
  EXPECT_EQ(settings.protocol, Protocol::http_json);
  EXPECT_EQ(settings.compression, Compression::gzip);
  EXPECT_EQ(settings.timeout, milliseconds(2));
  EXPECT_THAT(settings.header_lines, ElementsAre("c: 3"));
  EXPECT_THAT(variables.warnings, IsEmpty());
}

TEST(OtlpSettings, CodeBeatsTheEnvironment) {
  Variables variables{{"OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"},
                      {"OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"},
                      {"OTEL_EXPORTER_OTLP_TIMEOUT", "1"},
                      {"OTEL_EXPORTER_OTLP_HEADERS", "a=1,b=2"}};
  const Settings settings = settings_of(variables, {.protocol = Protocol::http_protobuf,
                                                    .compression = Compression::none,
                                                    .headers = {{"B", "code"}},
                                                    .timeout = milliseconds(0)});
  EXPECT_TRUE(settings.supported);
  EXPECT_EQ(settings.compression, Compression::none);
  EXPECT_EQ(settings.timeout, milliseconds(0));
  EXPECT_THAT(settings.header_lines, ElementsAre("a: 1", "B: code"));
  EXPECT_THAT(variables.warnings, IsEmpty());
}

TEST(OtlpSettings, TheEnvironmentIsNotReadWhereCodeSaysSo) {
  Variables variables{{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector"},
                      {"OTEL_EXPORTER_OTLP_HEADERS", "a=1"}};
  const Settings settings = settings_of(variables, {.read_environment = false});
  EXPECT_EQ(settings.url, "http://localhost:4318/v1/traces");
  EXPECT_THAT(settings.header_lines, IsEmpty());
}

// What describe() prints about them, without what may be a secret.
std::vector<std::string> described(Variables& variables, const ExporterOptions& options = {}) {
  std::vector<std::string> lines;
  for (const midtrace::Setting& setting : settings_of(variables, options).described)
    lines.push_back(setting.name + " = " + setting.value + " (" + setting.origin + ")");
  return lines;
}

TEST(OtlpSettings, AreDescribedWithWhereTheyComeFrom) {
  Variables nothing{};
  EXPECT_THAT(described(nothing),
              ElementsAre("OTLP protocol = http/protobuf (default)",
                          "OTLP endpoint = http://localhost:4318/v1/traces (default)",
                          "OTLP compression = none (default)", "OTLP timeout = 10000 ms (default)",
                          "OTLP headers = none (default)"));
  Variables variables{{"OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"},
                      {"OTEL_EXPORTER_OTLP_ENDPOINT", "http://user:MARKER@collector/?key=MARKER"},
                      {"OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "zip"},
                      {"OTEL_EXPORTER_OTLP_TIMEOUT", "soon"},
                      {"OTEL_EXPORTER_OTLP_HEADERS", "authorization=MARKER,tenant=MARKER"}};
  EXPECT_THAT(
      described(variables),
      ElementsAre("OTLP protocol = http/json (OTEL_EXPORTER_OTLP_PROTOCOL)",
                  "OTLP endpoint = http://collector/v1/traces (OTEL_EXPORTER_OTLP_ENDPOINT)",
                  "OTLP compression = none (OTEL_EXPORTER_OTLP_TRACES_COMPRESSION, invalid: see the warning)",
                  "OTLP timeout = 10000 ms (OTEL_EXPORTER_OTLP_TIMEOUT, invalid: see the warning)",
                  "OTLP headers = authorization, tenant (OTEL_EXPORTER_OTLP_HEADERS)"));
  EXPECT_THAT(described(variables, {.protocol = Protocol::http_protobuf,
                                    .compression = Compression::gzip,
                                    .headers = {{"x", "MARKER"}},
                                    .timeout = milliseconds(5)}),
              ElementsAre("OTLP protocol = http/protobuf (code)",
                          "OTLP endpoint = http://collector/v1/traces (OTEL_EXPORTER_OTLP_ENDPOINT)",
                          "OTLP compression = gzip (code)", "OTLP timeout = 5 ms (code)",
                          "OTLP headers = authorization, tenant, x (OTEL_EXPORTER_OTLP_HEADERS and code)"));
}

TEST(OtlpSettings, GrpcIsNotSpokenAndTheWarningNamesWhatIs) {
  Variables variables{{"OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"}};
  EXPECT_FALSE(settings_of(variables).supported);
  EXPECT_THAT(variables.warnings, ElementsAre(AllOf(HasSubstr("OTEL_EXPORTER_OTLP_PROTOCOL is \"grpc\""),
                                                    HasSubstr("http/protobuf"), HasSubstr("4318"))));
}

struct WarningCase {
  const char* variable;
  const char* value;
  const char* sentence;
};
class OtlpBadValue : public testing::TestWithParam<WarningCase> {};
TEST_P(OtlpBadValue, WarnsOnceAndIsReplacedByTheDefault) {
  Variables variables{{GetParam().variable, GetParam().value}};
  const Settings settings = settings_of(variables);
  EXPECT_EQ(settings.problem, "");
  EXPECT_TRUE(settings.supported);
  EXPECT_EQ(settings.protocol, Protocol::http_protobuf);
  EXPECT_EQ(settings.compression, Compression::none);
  EXPECT_EQ(settings.timeout, milliseconds(10000));
  EXPECT_THAT(settings.header_lines, IsEmpty());
  EXPECT_THAT(variables.warnings,
              ElementsAre(AllOf(HasSubstr(GetParam().variable), HasSubstr(GetParam().sentence))));
}
INSTANTIATE_TEST_SUITE_P(
    Values, OtlpBadValue,
    testing::Values(
        WarningCase{"OTEL_EXPORTER_OTLP_PROTOCOL", "http",
                    "is \"http\", which is no protocol of OTLP; using http/protobuf"},
        WarningCase{"OTEL_EXPORTER_OTLP_COMPRESSION", "zstd",
                    "is \"zstd\", which is neither gzip nor none; using none"},
        WarningCase{"OTEL_EXPORTER_OTLP_TIMEOUT", "ten",
                    "is \"ten\", which is not a whole number of milliseconds"},
        WarningCase{"OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "-1", "using 10000"},
        WarningCase{"OTEL_EXPORTER_OTLP_HEADERS", "a=1,b", "its member 2 has no '='; using none of it"},
        WarningCase{"OTEL_EXPORTER_OTLP_HEADERS", "a=1%2",
                    "its member 1 has a '%' that two hexadecimal digits do not"},
        WarningCase{"OTEL_EXPORTER_OTLP_HEADERS", "a=1;property", "its member 1 has a ';'"},
        WarningCase{"OTEL_EXPORTER_OTLP_HEADERS", "a b=1",
                    "its member 1 has a name that HTTP does not allow"},
        WarningCase{"OTEL_EXPORTER_OTLP_HEADERS", "=1", "its member 1 has a name that HTTP does not allow"},
        WarningCase{"OTEL_EXPORTER_OTLP_HEADERS", "a=1%0D%0Ab:2",
                    "its member 1 has a control character in its value"},
        WarningCase{"OTEL_EXPORTER_OTLP_HEADERS", "Content-Type=text/plain",
                    "its member 1 is set by midtrace itself"}));

TEST(OtlpSettings, ATimeoutInCodeThatIsNegativeWarns) {
  Variables variables{};
  EXPECT_EQ(settings_of(variables, {.timeout = milliseconds(-1)}).timeout, milliseconds(10000));
  EXPECT_THAT(variables.warnings, ElementsAre(HasSubstr("otlp::ExporterOptions::timeout is -1 ms")));
}

// --- headers

struct HeadersCase {
  const char* name;
  const char* list;
  std::vector<std::string> lines;
};
class OtlpHeaders : public testing::TestWithParam<HeadersCase> {};
TEST_P(OtlpHeaders, BecomeTheseLines) {
  Variables variables{{"OTEL_EXPORTER_OTLP_HEADERS", GetParam().list}};
  EXPECT_EQ(settings_of(variables).header_lines, GetParam().lines);
  EXPECT_THAT(variables.warnings, IsEmpty());
}
INSTANTIATE_TEST_SUITE_P(
    Lists, OtlpHeaders,
    testing::Values(HeadersCase{"One", "api-key=abc", {"api-key: abc"}},
                    HeadersCase{"Two", "a=1,b=2", {"a: 1", "b: 2"}},
                    HeadersCase{"Spaces", " a = 1 , b = 2 ", {"a: 1", "b: 2"}},
                    HeadersCase{
                        "Decoded", "authorization=Basic%20dXNlcg%3D%3D", {"authorization: Basic dXNlcg=="}},
                    HeadersCase{"EqualsInValue", "a=b=c", {"a: b=c"}},
                    HeadersCase{"SpaceInValue", "authorization=Bearer abc", {"authorization: Bearer abc"}},
                    HeadersCase{"EmptyValue", "a=", {"a;"}}, HeadersCase{"CommaAtTheEnd", "a=1,", {"a: 1"}},
                    HeadersCase{"LaterBeatsEarlier", "a=1,A=2", {"A: 2"}}),
    [](const auto& one) { return one.param.name; });

TEST(OtlpSettings, WarningsNeverShowAHeadersValue) {
  for (const char* list :
       {"a=secret;", "a=secret%", "secret", "content-type=secret", "a=secret%00", "a b=secret"}) {
    Variables variables{{"OTEL_EXPORTER_OTLP_HEADERS", list}};
    settings_of(variables);
    EXPECT_THAT(variables.warnings, ElementsAre(Not(HasSubstr("secret")))) << list;
  }
}

TEST(OtlpSettings, AHeaderInCodeThatHttpDoesNotAllowIsAProblem) {
  Variables variables{};
  EXPECT_THAT(settings_of(variables, {.headers = {{"two words", "x"}}}).problem,
              HasSubstr("The header \"two words\" in otlp::ExporterOptions::headers has a name"));
  EXPECT_THAT(settings_of(variables, {.headers = {{"a", "secret\r\nHost: other"}}}).problem,
              AllOf(HasSubstr("has a control character in its value"), Not(HasSubstr("secret"))));
}

// --- files

class OtlpFiles : public OtlpHttp {
 protected:
  std::string file(const char* name, const std::string& content) {
    const auto path = directory_.path() / name;
    std::ofstream(path) << content;
    return path.string();
  }
  midtrace::test::TemporaryDirectory directory_;
};

TEST_F(OtlpFiles, ThatCannotBeUsedAreAProblemWithThePathAndTheReason) {
  const std::string pem = file("good.pem", "-----BEGIN CERTIFICATE-----\n");
  const std::string text = file("text.pem", "hello");
  const std::string empty = file("empty.pem", "");
  struct Case {
    const char* variable;
    std::string path;
    const char* reason;
  };
  for (const Case& one :
       {Case{"OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere.pem", "No such file"},
        Case{"OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", directory_.path().string(), "Is a directory"},
        Case{"OTEL_EXPORTER_OTLP_CERTIFICATE", text, "not a PEM file"},
        Case{"OTEL_EXPORTER_OTLP_CERTIFICATE", empty, "not a PEM file"},
        Case{"OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "/nowhere.pem", "No such file"},
        Case{"OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY", "/nowhere.pem", "No such file"}}) {
    Variables variables{{one.variable, one.path}};
    EXPECT_THAT(settings_of(variables).problem,
                AllOf(HasSubstr(one.variable), HasSubstr(one.path), HasSubstr(one.reason)));
  }
  Variables only_certificate{{"OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", pem}};
  EXPECT_THAT(settings_of(only_certificate).problem, HasSubstr("a client certificate but no key"));
  Variables all{{"OTEL_EXPORTER_OTLP_CERTIFICATE", pem},
                {"OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", pem},
                {"OTEL_EXPORTER_OTLP_CLIENT_KEY", pem}};
  EXPECT_EQ(settings_of(all).problem, "");
}

// --- through setup()

TEST_F(OtlpFiles, AnUnreadableCertificateIsInTelemetryErrorAndTracingStaysOff) {
  ExporterOptions options;
  options.certificate = "/nowhere.pem";
  const auto& telemetry = start(std::move(options));
  EXPECT_FALSE(telemetry.ok());
  EXPECT_THAT(telemetry.error(),
              HasSubstr("\"/nowhere.pem\" of otlp::ExporterOptions::certificate cannot be read"));
  trace();
  EXPECT_EQ(counted(Counter::spans_sampled), 0U);
}

TEST_F(OtlpHttp, AWrongEndpointIsInTelemetryErrorAndTracingStaysOff) {
  ExporterOptions options;
  options.endpoint = "localhost:4318";
  const auto& telemetry = start(std::move(options));
  EXPECT_THAT(telemetry.error(),
              HasSubstr("\"localhost:4318\" of otlp::ExporterOptions::endpoint is not a URL"));
  EXPECT_THAT(reports(), ElementsAre(telemetry.error()));
}

// Sets variables of this process while it lives.
class ProcessVariables {
 public:
  ProcessVariables(std::initializer_list<std::pair<const char*, std::string>> values) {
    for (const auto& [name, value] : values) {
      setenv(name, value.c_str(), 1);
      names_.push_back(name);
    }
  }
  ~ProcessVariables() {
    for (const char* name : names_)
      unsetenv(name);
  }
  ProcessVariables(const ProcessVariables&) = delete;
  ProcessVariables& operator=(const ProcessVariables&) = delete;

 private:
  std::vector<const char*> names_;
};

class OtlpEnvironment : public OtlpHttp {
 protected:
  midtrace::Telemetry& start_by_environment() {
    before_ = midtrace::counters();
    telemetry_ = midtrace::setup({.service_name = "test", .logger = reports_});
    return telemetry_;
  }
};

TEST_F(OtlpEnvironment, TheEndpointAloneIsEnough) {
  HttpServer server;
  const ProcessVariables variables{{"OTEL_EXPORTER_OTLP_ENDPOINT", server.url() + "/base"},
                                   {"OTEL_EXPORTER_OTLP_HEADERS", "api-key=a%20b"}};
  ASSERT_TRUE(start_by_environment().ok());
  trace();
  EXPECT_TRUE(flush());
  ASSERT_EQ(server.requests().size(), 1U);
  EXPECT_EQ(server.requests()[0].target, "/base/v1/traces");
  EXPECT_EQ(server.requests()[0].headers.at("api-key"), "a b");
  EXPECT_THAT(reports(), IsEmpty());
}

TEST_F(OtlpEnvironment, NamedInAListItWorksBesideTheOthers) {
  HttpServer server;
  const ProcessVariables variables{{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", server.url()},
                                   {"OTEL_TRACES_EXPORTER", "none,OTLP"},
                                   {"OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"}};
  ASSERT_TRUE(start_by_environment().ok());
  trace();
  EXPECT_TRUE(flush());
  ASSERT_EQ(server.requests().size(), 1U);
  EXPECT_EQ(server.requests()[0].target, "/");
}

TEST_F(OtlpEnvironment, GrpcSendsNothingAndWarnsOnce) {
  HttpServer server;
  const ProcessVariables variables{{"OTEL_EXPORTER_OTLP_ENDPOINT", server.url()},
                                   {"OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"}};
  ASSERT_TRUE(start_by_environment().ok());
  trace();
  EXPECT_TRUE(flush());
  EXPECT_THAT(server.requests(), IsEmpty());
  EXPECT_THAT(reports(), ElementsAre(AllOf(HasSubstr("http/protobuf"), HasSubstr("4318"))));
  EXPECT_EQ(counted(Counter::invalid_configuration), 1U);
  EXPECT_EQ(counted(Counter::spans_sampled), 0U);
}

TEST_F(OtlpEnvironment, AWrongEndpointTurnsTracingOff) {
  const ProcessVariables variables{{"OTEL_EXPORTER_OTLP_ENDPOINT", "collector"}};
  EXPECT_THAT(start_by_environment().error(), HasSubstr("\"collector\" of OTEL_EXPORTER_OTLP_ENDPOINT"));
}

}  // namespace
