using QueueMaaS.Contracts;
using QueueMaaS.Training.Specification;
using QueueMaaS.Training.Specification.Layers;

namespace QueueMaaS.Training.Tests;

public sealed class SpecificationTests
{
    [Fact]
    public void The_small_cnn_takes_cifar_and_mnist_sizes()
    {
        var shapes = ModelPresets.Create("cnn-small", 10).InferShapes(TensorShape.Image(3, 32, 32));
        shapes[7].ShouldBeEquivalentTo(TensorShape.Image(64, 4, 4));
        shapes[8].Sizes.ShouldBe([1024]);
        shapes[^1].Sizes.ShouldBe([10]);
        ModelPresets.Create("cnn-small", 10).InferShapes(TensorShape.Image(1, 28, 28))[8].Sizes.ShouldBe([576]);
        ModelPresets.Create("cnn-small", 10).InferShapes(TensorShape.Image(3, 18, 18))[8].Sizes.ShouldBe([64]);
    }

    [Fact]
    public void An_image_that_is_too_small_names_the_layer_what_it_gets_and_what_it_needs()
    {
        var problem = Samples.ShouldFail(() => ModelPresets.Create("cnn-small", 10).InferShapes(TensorShape.Image(3, 17, 17)), ProblemCodes.SpecificationInvalid);
        problem.Message.ShouldContain("layer 7, 'conv3' conv2d(64, kernel 3), gets [64, 2, 2] and needs channels × height × width with at least 3 × 3 pixels");
        problem.Message.ShouldContain("[3, 17, 17]");
    }

    [Fact]
    public void A_dense_layer_on_an_image_asks_for_a_flatten()
    {
        var specification = ModelSpecification.Sequential("odd", new LinearLayer(10));
        Samples.ShouldFail(() => specification.InferShapes(TensorShape.Image(1, 4, 4)), ProblemCodes.SpecificationInvalid).Message.ShouldContain("put a flatten before it");
        var convolution = ModelSpecification.Sequential("odd", new FlattenLayer(), new Conv2dLayer(1, 3));
        Samples.ShouldFail(() => convolution.InferShapes(TensorShape.Image(1, 4, 4)), ProblemCodes.SpecificationInvalid).Message.ShouldContain("gets [16]");
    }
}
