/* A plain C++ gRPC server for the bench's model: neither contract nor window, nor any other gate.
 *
 * Usage: cpp_server callback|queue ONNX_RUNTIME_LIBRARY MODEL. It prints its port and serves until
 * it is killed. "callback" is gRPC's callback interface on its own threads, "queue" one thread on
 * one completion queue. The request has ten FP64 tensors of one row with typed contents. */
#include <dlfcn.h>
#include <grpcpp/grpcpp.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "gnomon/proto/inference.grpc.pb.h"

using inference::GRPCInferenceService;
using inference::ModelInferRequest;
using inference::ModelInferResponse;

namespace {

constexpr int kFields = 10;
constexpr int kFloat = 1;
/* Slots of ONNX Runtime's append-only table of functions, which needs no header so. */
enum Slot {
    kCreateEnv = 3,
    kCreateSessionFromArray = 8,
    kRun = 9,
    kCreateSessionOptions = 10,
    kDisableMemPattern = 17,
    kDisableCpuMemArena = 19,
    kSetGraphOptimizationLevel = 23,
    kSetIntraOpNumThreads = 24,
    kSetInterOpNumThreads = 25,
    kCreateTensorWithData = 49,
    kGetTensorMutableData = 51,
    kCreateCpuMemoryInfo = 69,
    kReleaseValue = 96,
};

struct Base {
    void **(*get_table)(uint32_t);
    const char *(*get_version)();
};

class Model {
  public:
    Model(const char *library, const std::string &content) {
        void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
        if (handle == nullptr) Fail(dlerror());
        auto base = reinterpret_cast<const Base *(*)()>(dlsym(handle, "OrtGetApiBase"))();
        table_ = base->get_table(14);
        void *environment = nullptr, *options = nullptr;
        Check(Function<void *(*)(int, const char *, void **)>(kCreateEnv)(3, "peer", &environment));
        Check(Function<void *(*)(void **)>(kCreateSessionOptions)(&options));
        Check(Function<void *(*)(void *, int)>(kSetIntraOpNumThreads)(options, 1));
        Check(Function<void *(*)(void *, int)>(kSetInterOpNumThreads)(options, 1));
        Check(Function<void *(*)(void *, int)>(kSetGraphOptimizationLevel)(options, 99));
        Check(Function<void *(*)(void *)>(kDisableMemPattern)(options));
        Check(Function<void *(*)(void *)>(kDisableCpuMemArena)(options));
        Check(Function<void *(*)(void *, const void *, size_t, const void *, void **)>(
            kCreateSessionFromArray)(environment, content.data(), content.size(), options,
                                     &session_));
        Check(Function<void *(*)(int, int, void **)>(kCreateCpuMemoryInfo)(0, 0, &memory_));
    }

    float Run(float *features) const {
        static const char *const inputs[] = {"features"}, *const outputs[] = {"score"};
        const int64_t shape[] = {1, kFields};
        void *input = nullptr, *output = nullptr, *data = nullptr;
        Check(Function<void *(*)(const void *, void *, size_t, const int64_t *, size_t, int,
                                 void **)>(kCreateTensorWithData)(
            memory_, features, kFields * sizeof(float), shape, 2, kFloat, &input));
        Check(Function<void *(*)(void *, const void *, const char *const *, void *const *, size_t,
                                 const char *const *, size_t, void **)>(kRun)(
            session_, nullptr, inputs, &input, 1, outputs, 1, &output));
        Check(Function<void *(*)(void *, void **)>(kGetTensorMutableData)(output, &data));
        float score = *static_cast<float *>(data);
        Function<void (*)(void *)>(kReleaseValue)(output);
        Function<void (*)(void *)>(kReleaseValue)(input);
        return score;
    }

  private:
    template <class Type>
    Type Function(Slot slot) const {
        return reinterpret_cast<Type>(table_[slot]);
    }

    static void Check(void *status) {
        if (status != nullptr) Fail("ONNX Runtime refused");
    }

    [[noreturn]] static void Fail(const char *why) {
        std::fprintf(stderr, "%s\n", why);
        std::exit(1);
    }

    void **table_, *session_ = nullptr, *memory_ = nullptr;
};

grpc::Status Answer(const Model &model, const ModelInferRequest &request,
                    ModelInferResponse *response) {
    float features[kFields];
    if (request.inputs_size() != kFields)
        return {grpc::StatusCode::INVALID_ARGUMENT, "ten inputs are expected"};
    for (int field = 0; field < kFields; field++) {
        const auto &contents = request.inputs(field).contents();
        if (contents.fp64_contents_size() != 1)
            return {grpc::StatusCode::INVALID_ARGUMENT, "one row is expected"};
        features[field] = static_cast<float>(contents.fp64_contents(0));
    }
    response->set_model_name(request.model_name());
    response->set_model_version("1");
    response->set_id(request.id());
    auto *output = response->add_outputs();
    output->set_name("score");
    output->set_datatype("FP32");
    output->add_shape(1);
    output->add_shape(1);
    output->mutable_contents()->add_fp32_contents(model.Run(features));
    return grpc::Status::OK;
}

class Callback final : public GRPCInferenceService::CallbackService {
  public:
    explicit Callback(const Model &model) : model_(model) {}

    grpc::ServerUnaryReactor *ModelInfer(grpc::CallbackServerContext *context,
                                         const ModelInferRequest *request,
                                         ModelInferResponse *response) override {
        auto *reactor = context->DefaultReactor();
        reactor->Finish(Answer(model_, *request, response));
        return reactor;
    }

  private:
    const Model &model_;
};

/* One call on the queue: it waits for a request, answers, and makes way for the next. */
class Pending {
  public:
    Pending(GRPCInferenceService::AsyncService *service, grpc::ServerCompletionQueue *queue,
            const Model &model)
        : service_(service), queue_(queue), model_(model), writer_(&context_) {
        service_->RequestModelInfer(&context_, &request_, &writer_, queue_, queue_, this);
    }

    void Proceed(bool good) {
        if (is_answered_ || !good) {
            delete this;
            return;
        }
        new Pending(service_, queue_, model_);
        is_answered_ = true;
        ModelInferResponse response;
        grpc::Status status = Answer(model_, request_, &response);
        writer_.Finish(response, status, this);
    }

  private:
    GRPCInferenceService::AsyncService *service_;
    grpc::ServerCompletionQueue *queue_;
    const Model &model_;
    grpc::ServerContext context_;
    ModelInferRequest request_;
    grpc::ServerAsyncResponseWriter<ModelInferResponse> writer_;
    bool is_answered_ = false;
};

void Announce(int port) {
    std::printf("127.0.0.1:%d\n", port);
    std::fflush(stdout);
}

}  // namespace

int main(int count, char **words) {
    if (count != 4) return 2;
    std::ifstream file(words[3], std::ios::binary);
    std::string content((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    Model model(words[2], content);
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    if (!std::strcmp(words[1], "callback")) {
        Callback service(model);
        builder.RegisterService(&service);
        std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
        Announce(port);
        server->Wait();
        return 0;
    }
    GRPCInferenceService::AsyncService service;
    builder.RegisterService(&service);
    std::unique_ptr<grpc::ServerCompletionQueue> queue = builder.AddCompletionQueue();
    std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
    Announce(port);
    for (int waiting = 0; waiting < 128; waiting++) new Pending(&service, queue.get(), model);
    void *tag = nullptr;
    bool good = false;
    while (queue->Next(&tag, &good)) static_cast<Pending *>(tag)->Proceed(good);
}
