// The key–value service of processes that compute together (src/covector/distributed/store.py), as
// plugins call it: from threads of their own, and without Python.
#pragma once

#include <chrono>
#include <string>

#include "pjrt/abi.h"

namespace covector::pjrt {

class Store {
 public:
  // Where the coordinator listens, in numbers; the word that members of the job know; what the keys
  // of a plugin begin with.
  Store(std::string host, int port, std::string token, std::string prefix)
      : host_(std::move(host)), port_(port), token_(std::move(token)), prefix_(std::move(prefix)) {}

  // Has a client that is to be created call this store, which must outlive the plugin's threads.
  void offer(ClientCreateArgs* args);

  // All throw Failure.
  std::string get(std::string key, std::chrono::milliseconds timeout) const;
  std::string try_get(std::string key) const;
  void put(std::string key, std::string value) const;

 private:
  std::string ask(const char* op, std::chrono::milliseconds timeout, const std::string& key,
                  const std::string& value = {}) const;

  const std::string host_;
  const int port_;
  const std::string token_, prefix_;
};

}  // namespace covector::pjrt
