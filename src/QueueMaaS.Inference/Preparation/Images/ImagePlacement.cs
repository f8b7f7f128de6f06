namespace QueueMaaS.Inference.Preparation.Images;

/// <summary>Where an image came to lie in the model's input: <c>input = image × scale + offset</c> along each axis. With it boxes find their way back.</summary>
/// <param name="Width">The image's width in pixels, as it is to be seen.</param>
/// <param name="Height">The image's height in pixels.</param>
/// <param name="ScaleX">Input pixels per image pixel.</param>
/// <param name="ScaleY">Input pixels per image pixel.</param>
/// <param name="OffsetX">Input pixels.</param>
/// <param name="OffsetY">Input pixels.</param>
public sealed record ImagePlacement(int Width, int Height, double ScaleX, double ScaleY, double OffsetX, double OffsetY)
{
    /// <summary>Of tensors that a client made itself, nothing is known but their size.</summary>
    public static ImagePlacement Of(int width, int height) => new(width, height, 1, 1, 0, 0);
}

/// <summary>An image brought to the size of the model's input.</summary>
/// <param name="Pixels">Channels × height × width, 0 to 255, in the order red, green, blue.</param>
/// <param name="Placement">Where the image lies in it.</param>
public sealed record PlacedImage(byte[] Pixels, ImagePlacement Placement);
