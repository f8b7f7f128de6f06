// Calls the Open Inference Protocol over gRPC: node infer.mjs HOST:PORT MODEL. Prints one JSON line for each answer.
// The model doubles an FP32 tensor `x` of [batch, 2] into `y`.
import grpc from "@grpc/grpc-js";
import loader from "@grpc/proto-loader";

const [address, model] = process.argv.slice(2);
const definition = loader.loadSync("../../src/QueueMaaS.OpenInference/Grpc/open_inference.proto", { keepCase: true, longs: Number, defaults: true, oneofs: true });
const { GRPCInferenceService } = grpc.loadPackageDefinition(definition).inference;
const client = new GRPCInferenceService(address, grpc.credentials.createInsecure());

const call = (method, request) =>
  new Promise((resolve) => client[method](request, (error, answer) => resolve(error ? { code: error.code, message: error.details, own: error.metadata?.get("queuemaas-code")[0] } : answer)));
const floats = (...values) => Buffer.from(new Float32Array(values).buffer);
const read = (bytes) => [...new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length))];
const raw = (id, ...values) => ({
  model_name: model, id, inputs: [{ name: "x", datatype: "FP32", shape: [values.length / 2, 2] }], raw_input_contents: [floats(...values)],
});
const print = (name, value) => console.log(JSON.stringify({ name, value }));

print("live", (await call("ServerLive", {})).live);
print("ready", (await call("ModelReady", { name: model })).ready);
print("missing", (await call("ModelReady", { name: "no-such-model" })).ready);
print("metadata", await call("ModelMetadata", { name: model }));
const unary = await call("ModelInfer", raw("one", 1, 2.5));
print("unary", { id: unary.id, version: unary.model_version, shape: unary.outputs[0].shape, y: read(unary.raw_output_contents[0]) });
const typed = await call("ModelInfer", { model_name: model, inputs: [{ name: "x", datatype: "FP32", shape: [1, 2], contents: { fp32_contents: [3, 4] } }] });
print("typed", read(typed.raw_output_contents[0]));
print("short", await call("ModelInfer", { ...raw("short", 1, 2), raw_input_contents: [floats(1)] }));
print("unknown", await call("ModelInfer", { ...raw("unknown", 1, 2), model_name: "no-such-model" }));

const many = await Promise.all(Array.from({ length: 64 }, (_, i) => call("ModelInfer", raw(`${i}`, i, i))));
print("together", { right: many.every((answer, i) => answer.id === `${i}` && read(answer.raw_output_contents[0])[0] === 2 * i), largest: Math.max(...many.map((answer) => answer.parameters.batch_size.int64_param)) });

const stream = client.ModelStreamInfer();
const streamed = [];
await new Promise((resolve, reject) => {
  stream.on("data", (answer) => streamed.push(answer));
  stream.on("error", reject);
  stream.on("end", resolve);
  for (let i = 0; i < 20; i++) stream.write(i === 7 ? { ...raw("7", 1, 2), raw_input_contents: [floats(1)] } : raw(`${i}`, i, i));
  stream.end();
});
print("stream", { ids: streamed.map((answer) => Number(answer.infer_response.id)), failed: streamed.filter((answer) => answer.error_message !== "").map((answer) => answer.error_message), last: read(streamed[19].infer_response.raw_output_contents[0]) });
const statistics = await call("ModelStatistics", { name: model });
print("statistics", statistics.model_stats[0].inference_count);
client.close();
