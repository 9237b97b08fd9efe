// What set-up finds out by itself about the process, the host and the container.
#include "config/detectors.h"

#include <unistd.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <gtest/gtest.h>

#include "config/resource.h"
#include "variables.h"

namespace {

using midtrace::container_id;
using midtrace::detect_resource;
using midtrace::Resource;
using midtrace::ResourceAttribute;
using midtrace::ResourceDetectors;

constexpr ResourceDetectors none{.process = false, .host = false, .container = false};
constexpr std::string_view id = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

struct Case {
  std::string_view name;
  std::string cgroup;
  std::string mountinfo;
  bool found;
};

std::vector<Case> cases() {
  const std::string text(id);
  return {
      {"Docker, version 1", "12:cpu:/docker/" + text + "\n1:name=systemd:/docker/" + text + "\n", "", true},
      {"systemd scope", "11:memory:/system.slice/docker-" + text + ".scope\n", "", true},
      {"Kubernetes with containerd",
       "1:cpu:/kubepods.slice/kubepods-pod12.slice/cri-containerd-" + text + ".scope\n", "", true},
      {"Kubernetes, plain", "1:cpu:/kubepods/besteffort/pod-1/" + text, "", true},
      {"Docker, version 2", "0::/\n",
       "29 28 0:25 / /proc rw\n512 501 254:1 /docker/containers/" + text +
           "/hostname /etc/hostname rw,relatime - ext4 /dev/vda1 rw\n",
       true},
      {"Podman, version 2", "0::/\n",
       "1 2 0:1 /containers/overlay-containers/" + text + "/userdata/hostname /etc/hostname rw\n", true},
      {"Docker whose data is elsewhere, version 2, by its resolv.conf", "0::/\n",
       "512 501 254:1 /srv/containers/docker/containers/" + text + "/resolv.conf /etc/resolv.conf rw\n",
       true},
      {"Docker, version 2, by its hosts", "0::/\n",
       "512 501 254:1 /var/lib/docker/containers/" + text +
           "/hosts /etc/hosts rw,relatime - ext4 /dev/vda1\n",
       true},
      {"a host of Docker, which sees its containers' mounts", "0::/\n",
       "88 26 0:44 / /var/lib/docker/containers/" + text +
           "/mounts/shm rw,nosuid - tmpfs shm rw\n"
           "89 26 0:45 / /var/lib/containers/storage/overlay-containers/" +
           text + "/userdata/shm rw - tmpfs\n",
       false},
      {"a container that has another one's directory mounted", "0::/\n",
       "88 26 254:1 /var/lib/docker/containers/" + text +
           " /logs ro - ext4 /dev/vda1 rw\n"
           "89 26 254:1 /var/lib/docker/containers/" +
           text + "/hostname /etc/hostname.other ro - ext4\n",
       false},
      {"containerd below Kubernetes, version 2: the pod's id, not the container's", "0::/\n",
       "1 2 254:1 /var/lib/containerd/io.containerd.grpc.v1.cri/sandboxes/" + text +
           "/hostname /etc/hostname rw\n",
       false},
      {"an id only behind the mount point", "0::/\n",
       "1 2 0:1 / /etc/hosts rw - overlay /var/lib/docker/containers/" + text + "/hosts rw\n", false},
      {"lines that end early", "0::/\n", "1\n1 2 0:1\n1 2 0:1 /docker/containers/" + text + "/hosts\n \n\n",
       false},
      {"no container", "0::/user.slice/session-1.scope\n", "29 28 0:25 / /proc rw\n", false},
      {"a path with a shorter id", "1:cpu:/docker/" + text.substr(1) + "\n", "", false},
      {"a path with a longer id", "1:cpu:/docker/" + text + "0\n", "", false},
      {"an id that is not the last part", "1:cpu:/docker/" + text + "/init\n", "", false},
      {"nothing readable", "", "", false},
      {"an endless line", std::string(10000, 'x'), std::string(10000, '/'), false},
  };
}

TEST(ContainerId, isFoundInBothVersionsOfCgroups) {
  for (const Case& one : cases()) {
    EXPECT_EQ(container_id(one.cgroup, one.mountinfo), one.found ? id : std::string_view()) << one.name;
  }
}

std::vector<std::string> keys(const std::vector<ResourceAttribute>& attributes) {
  std::vector<std::string> result;
  for (const ResourceAttribute& attribute : attributes)
    result.push_back(attribute.key);
  return result;
}

TEST(Detectors, knowTheProcess) {
  const Resource found(detect_resource({.process = true, .host = false, .container = false}));
  EXPECT_EQ(std::get<std::int64_t>(*found.find("process.pid")), getpid());
  EXPECT_EQ(std::get<std::string>(*found.find("process.executable.name")), "midtrace_config_test");
  EXPECT_TRUE(std::get<std::string>(*found.find("process.executable.path")).starts_with("/"));
  EXPECT_EQ(found.attributes().size(), 3U) << "and neither its arguments nor its user";
}

TEST(Detectors, knowTheHost) {
  const Resource found(detect_resource({.process = false, .host = true, .container = false}));
  char name[256] = "";
  ASSERT_EQ(gethostname(name, sizeof name), 0);
  EXPECT_EQ(std::get<std::string>(*found.find("host.name")), name);
  EXPECT_EQ(std::get<std::string>(*found.find("os.type")), "linux");
#if defined(__x86_64__)
  EXPECT_EQ(std::get<std::string>(*found.find("host.arch")), "amd64");
#endif
}

TEST(Detectors, findNothingWhenNothingIsWanted) { EXPECT_TRUE(detect_resource(none).empty()); }

TEST(Detectors, areBeatenByTheEnvironmentAndByCode) {
  midtrace_test::Variables variables({{"OTEL_RESOURCE_ATTRIBUTES", "host.name=a,os.type=b"}});
  const Resource resource =
      midtrace::make_resource("s", {{"os.type", std::string("c")}}, variables.environment(),
                              {{"host.name", std::string("detected")},
                               {"os.type", std::string("detected")},
                               {"host.id", std::string("detected")}});
  EXPECT_EQ(std::get<std::string>(*resource.find("host.name")), "a");
  EXPECT_EQ(std::get<std::string>(*resource.find("os.type")), "c");
  EXPECT_EQ(std::get<std::string>(*resource.find("host.id")), "detected");
}

TEST(Detectors, areChosenByAVariable) {
  const auto chosen = [](const char* value) {
    midtrace_test::Variables variables({{"MIDTRACE_RESOURCE_DETECTORS", value}});
    const ResourceDetectors detectors = midtrace::detectors_from(variables.environment());
    return std::string(detectors.process ? "p" : "") + (detectors.host ? "h" : "") +
           (detectors.container ? "c" : "");
  };
  EXPECT_EQ(chosen(""), "phc");
  EXPECT_EQ(chosen("all"), "phc");
  EXPECT_EQ(chosen("none"), "");
  EXPECT_EQ(chosen("host"), "h");
  EXPECT_EQ(chosen("Process, container"), "pc");
  EXPECT_EQ(chosen("aws,host"), "h");
}

TEST(Detectors, tellAForkedChildItsOwnProcess) {
  Resource resource({{"process.pid", std::int64_t{1}}});
  midtrace::renew_resource_in_child(resource);
  EXPECT_EQ(std::get<std::int64_t>(*resource.find("process.pid")), getpid());
  Resource other({{"service.name", std::string("s")}});
  midtrace::renew_resource_in_child(other);
  EXPECT_EQ(keys(other.attributes()), std::vector<std::string>{"service.name"});
}

}  // namespace
