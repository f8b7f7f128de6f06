using System.Globalization;
using Microsoft.Extensions.Options;
using Microsoft.ML.OnnxRuntime;

namespace QueueMaaS.Inference.Sessions;

/// <summary>Brings the configured device to a session, and refuses at start what this build does not have: ONNX Runtime would say so only when the first model is loaded, and in its own words.</summary>
internal sealed class ExecutionProvider : IValidateOptions<InferenceOptions>
{
    /// <inheritdoc/>
    public ValidateOptionsResult Validate(string? name, InferenceOptions options)
    {
        var wanted = RuntimeName(options.Provider);
        if (wanted is null || OrtEnv.Instance().GetAvailableProviders().Contains(wanted, StringComparer.Ordinal))
            return ValidateOptionsResult.Success;
        return ValidateOptionsResult.Fail(
            $"Inference:Provider is `{options.Provider}`, but this build of QueueMaaS has no {wanted}. Build it with `-p:Accelerator=cuda` on a machine with an NVIDIA GPU, CUDA 12 and cuDNN 9, or set Inference:Provider to `cpu`.");
    }

    /// <summary>Adds the provider with its settings; the CPU needs nothing.</summary>
    public static void AddTo(SessionOptions session, InferenceOptions options)
    {
        switch (options.Provider)
        {
            case "cuda":
                AddCuda(session, options);
                break;
            case "tensorrt":
                using (var tensorRt = new OrtTensorRTProviderOptions())
                {
                    tensorRt.UpdateOptions(TensorRtSettings(options));
                    session.AppendExecutionProvider_Tensorrt(tensorRt);
                }

                // What TensorRT cannot do stays on the GPU.
                AddCuda(session, options);
                break;
        }
    }

    internal static Dictionary<string, string> CudaSettings(InferenceOptions options)
    {
        var settings = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["device_id"] = Text(options.DeviceId),
            // Sizes snap to what was asked for; the default doubles, which a worker with several models cannot afford.
            ["arena_extend_strategy"] = "kSameAsRequested",
            ["enable_cuda_graph"] = options.CudaGraphs ? "1" : "0",
        };
        if (options.DeviceMemoryBytes > 0)
            settings["gpu_mem_limit"] = Text(options.DeviceMemoryBytes);
        return settings;
    }

    internal static Dictionary<string, string> TensorRtSettings(InferenceOptions options)
    {
        var settings = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["device_id"] = Text(options.DeviceId),
            ["trt_cuda_graph_enable"] = options.CudaGraphs ? "1" : "0",
        };
        if (options.DeviceMemoryBytes > 0)
            settings["trt_max_workspace_size"] = Text(options.DeviceMemoryBytes);
        if (options.TensorRtCache is { } cache)
        {
            settings["trt_engine_cache_enable"] = "1";
            settings["trt_engine_cache_path"] = cache;
        }

        return settings;
    }

    private static void AddCuda(SessionOptions session, InferenceOptions options)
    {
        using var cuda = new OrtCUDAProviderOptions();
        cuda.UpdateOptions(CudaSettings(options));
        session.AppendExecutionProvider_CUDA(cuda);
    }

    private static string Text(long number) => number.ToString(CultureInfo.InvariantCulture);

    private static string? RuntimeName(string provider) => provider switch
    {
        "cuda" => "CUDAExecutionProvider",
        "tensorrt" => "TensorrtExecutionProvider",
        _ => null,
    };
}
