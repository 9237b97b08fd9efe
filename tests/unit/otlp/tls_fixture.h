// OtlpTls: OtlpHttp with a certificate authority of its own, and what it signed.
#pragma once

#include <string>

#include "fixture.h"
#include "support/certificates.h"
#include "support/child_process.h"

namespace midtrace_test {

class OtlpTls : public OtlpHttp {
 protected:
  void SetUp() override {
    std::string why_not;
    ASSERT_TRUE(midtrace::test::make_certificates(directory_.path(), why_not)) << why_not;
  }
  std::string file(const std::string& name) const { return (directory_.path() / name).string(); }
  // Of the server; with `client_authority` a client must show a certificate signed by it.
  midtrace::test::TlsFiles server_files(const std::string& client_authority = "",
                                        const std::string& certificate = "server") const {
    midtrace::test::TlsFiles files{file(certificate + ".pem"), file(certificate + ".key")};
    if (!client_authority.empty()) files.client_authority = file(client_authority);
    return files;
  }
  // To `server`, whose authority is trusted.
  midtrace::otlp::ExporterOptions trusting(const HttpServer& server) const {
    midtrace::otlp::ExporterOptions options = to(server);
    options.certificate = file("authority.pem");
    return options;
  }

  midtrace::test::TemporaryDirectory directory_;
};

}  // namespace midtrace_test
