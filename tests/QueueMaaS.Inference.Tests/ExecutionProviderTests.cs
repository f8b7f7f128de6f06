using QueueMaaS.Inference.Sessions;

namespace QueueMaaS.Inference.Tests;

public sealed class ExecutionProviderTests
{
    [Theory]
    [InlineData("cuda")]
    [InlineData("tensorrt")]
    public void A_device_that_this_build_does_not_have_is_refused_at_start_with_the_remedy(string provider)
    {
        var available = Microsoft.ML.OnnxRuntime.OrtEnv.Instance().GetAvailableProviders();
        var result = new ExecutionProvider().Validate(null, new() { Provider = provider });

        if (available.Any(name => name.StartsWith(provider, StringComparison.OrdinalIgnoreCase)))
            result.Succeeded.ShouldBeTrue();
        else
            result.FailureMessage.ShouldNotBeNull().ShouldContain("-p:Accelerator=cuda");
    }

    [Fact]
    public void The_cpu_is_always_there() => new ExecutionProvider().Validate(null, new()).Succeeded.ShouldBeTrue();

    [Fact]
    public void The_settings_of_the_device_reach_the_runtime_in_its_own_words()
    {
        var options = new InferenceOptions { Provider = "tensorrt", DeviceId = 2, DeviceMemoryBytes = 1 << 30, CudaGraphs = true, TensorRtCache = "/cache" };

        ExecutionProvider.CudaSettings(options).ShouldBe(
            new Dictionary<string, string> { ["device_id"] = "2", ["arena_extend_strategy"] = "kSameAsRequested", ["enable_cuda_graph"] = "1", ["gpu_mem_limit"] = "1073741824" }, ignoreOrder: true);
        ExecutionProvider.TensorRtSettings(options).ShouldBe(
            new Dictionary<string, string>
            {
                ["device_id"] = "2",
                ["trt_cuda_graph_enable"] = "1",
                ["trt_max_workspace_size"] = "1073741824",
                ["trt_engine_cache_enable"] = "1",
                ["trt_engine_cache_path"] = "/cache",
            },
            ignoreOrder: true);
    }
}
