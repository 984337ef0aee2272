// Calls of the key–value service. Each has a connection of its own, so that threads do not wait for
// each other; a plugin makes few.
#include "pjrt/store.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <limits>
#include <system_error>

#include "pjrt/plugin.h"

namespace covector::pjrt {
namespace {

using Clock = std::chrono::steady_clock;

// How much longer than a call's own time-out its answer may take.
constexpr auto kGrace = std::chrono::seconds(10);
// Waits that have no end.
constexpr auto kForever = std::chrono::hours(24 * 365);
constexpr char kMagic[] = "CVD1";
constexpr size_t kPrefix = 12;  // the magic bytes, the lengths of head and body

[[noreturn]] void fail(int error) { throw std::system_error(error, std::generic_category()); }

class Connection {
 public:
  Connection(const std::string& host, int port, Clock::time_point deadline) : deadline_(deadline) {
    addrinfo hints{}, *found = nullptr;
    hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
    hints.ai_socktype = SOCK_STREAM;
    if (getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found))
      fail(EADDRNOTAVAIL);
    socket_ = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int error = socket_ < 0 || connect(socket_, found->ai_addr, found->ai_addrlen) < 0 ? errno : 0;
    freeaddrinfo(found);
    if (error == EINPROGRESS) error = connected();
    if (error) {
      if (socket_ >= 0) close(socket_);
      fail(error);
    }
  }
  ~Connection() { close(socket_); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void send(const std::string& data) {
    for (size_t done = 0; done < data.size();) {
      wait(POLLOUT);
      ssize_t n = ::send(socket_, data.data() + done, data.size() - done, MSG_NOSIGNAL);
      if (n > 0)
        done += size_t(n);
      else if (errno != EAGAIN && errno != EINTR)
        fail(errno);
    }
  }

  std::string receive(size_t size) {
    std::string data(size, '\0');
    for (size_t done = 0; done < size;) {
      wait(POLLIN);
      ssize_t n = recv(socket_, data.data() + done, size - done, 0);
      if (n > 0)
        done += size_t(n);
      else if (n == 0)
        fail(ECONNRESET);
      else if (errno != EAGAIN && errno != EINTR)
        fail(errno);
    }
    return data;
  }

 private:
  int connected() {
    int error = 0;
    socklen_t size = sizeof error;
    try {
      wait(POLLOUT);
    } catch (const std::system_error& e) {
      return e.code().value();
    }
    return getsockopt(socket_, SOL_SOCKET, SO_ERROR, &error, &size) ? errno : error;
  }
  void wait(short what) {
    for (;;) {
      auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline_ - Clock::now()).count();
      if (left <= 0) fail(ETIMEDOUT);
      pollfd one{socket_, what, 0};
      int n = poll(&one, 1, int(std::min<int64_t>(left, std::numeric_limits<int>::max())));
      if (n > 0) return;
      if (n < 0 && errno != EINTR) fail(errno);
    }
  }

  int socket_ = -1;
  Clock::time_point deadline_;
};

// Lengths are written with the lowest byte first.
std::string length(size_t n) {
  std::string out;
  for (int k = 0; k < 4; ++k) out += char(n >> 8 * k);
  return out;
}
size_t read_length(const std::string& data, size_t at) {
  size_t n = 0;
  for (size_t k = 0; k < 4; ++k) n |= size_t(uint8_t(data[at + k])) << 8 * k;
  return n;
}

std::string exchange(Connection& connection, const std::string& head, const std::string& body) {
  connection.send(kMagic + length(head.size()) + length(body.size()) + head + body);
  std::string begin = connection.receive(kPrefix);
  if (begin.compare(0, 4, kMagic)) fail(EPROTO);
  std::string answer = connection.receive(read_length(begin, 4));
  std::string value = connection.receive(read_length(begin, 8));
  int code;
  if (std::sscanf(answer.c_str(), "{\"code\": %d}", &code) != 1) fail(EPROTO);
  if (code) throw Failure(code, value);
  return value;
}

Store* store_of(void* user_arg) { return static_cast<Store*>(user_arg); }

// Does the work of a callback; what it throws becomes the error that the plugin makes.
template <class Args, class Work>
Error* answered(Args* args, Work&& work) {
  auto error = [&](int code, const char* text) {
    return (*args->callback_error)(code, text, std::strlen(text));
  };
  try {
    work(*store_of(args->user_arg), std::string(args->key, args->key_size));
    return nullptr;
  } catch (const Failure& failure) {
    return error(failure.code, failure.what());
  } catch (const std::exception& e) {
    return error(kInternal, e.what());
  }
}

void delete_value(char* value) { delete[] value; }

template <class Args>
void give(Args* args, const std::string& value) {
  args->value = new char[value.size() + 1];
  std::memcpy(args->value, value.c_str(), value.size() + 1);
  args->value_size = value.size();
  args->value_deleter_callback = delete_value;
}

Error* get_callback(KeyValueGetArgs* args) {
  return answered(args, [&](const Store& store, std::string key) {
    give(args, store.get(std::move(key), std::chrono::milliseconds(args->timeout_in_ms)));
  });
}

Error* try_get_callback(KeyValueTryGetArgs* args) {
  return answered(args, [&](const Store& store, std::string key) {
    give(args, store.try_get(std::move(key)));
  });
}

Error* put_callback(KeyValuePutArgs* args) {
  return answered(args, [&](const Store& store, std::string key) {
    store.put(std::move(key), std::string(args->value, args->value_size));
  });
}

}  // namespace

void Store::offer(ClientCreateArgs* args) {
  args->kv_get_callback = get_callback;
  args->kv_put_callback = put_callback;
  args->kv_try_get_callback = try_get_callback;
  args->kv_get_user_arg = args->kv_put_user_arg = args->kv_try_get_user_arg = this;
}

std::string Store::ask(const char* op, std::chrono::milliseconds timeout, const std::string& key,
                       const std::string& value) const {
  try {
    Connection connection(host_, port_, Clock::now() + timeout + kGrace);
    // Keys are any bytes, and go with the value.
    std::string head = "{\"op\": \"" + std::string(op) + "\", \"token\": \"" + token_ +
                       "\", \"milliseconds\": " + std::to_string(timeout.count()) +
                       ", \"key_size\": " + std::to_string(prefix_.size() + key.size()) + "}";
    return exchange(connection, head, prefix_ + key + value);
  } catch (const std::system_error& e) {
    throw Failure(kUnavailable, "process 0, the coordinator at " + host_ + ":" +
                                    std::to_string(port_) + ", does not answer (" +
                                    e.code().message() + ")");
  }
}

std::string Store::get(std::string key, std::chrono::milliseconds timeout) const {
  if (timeout.count() < 0) timeout = kForever;
  try {
    return ask("kv_get", timeout, key);
  } catch (const Failure& failure) {
    if (failure.code != kDeadlineExceeded) throw;
    throw Failure(failure.code, failure.what() + (" within " + std::to_string(timeout.count())) +
                                    " ms");
  }
}

std::string Store::try_get(std::string key) const {
  return ask("kv_try_get", std::chrono::milliseconds(0), key);
}

void Store::put(std::string key, std::string value) const {
  ask("kv_put", std::chrono::milliseconds(0), key, value);
}

}  // namespace covector::pjrt
