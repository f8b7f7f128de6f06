using System.Net.Mime;
using MassTransit;
using MassTransit.Serialization;

namespace QueueMaaS.Messaging.Submission;

/// <summary>
/// Leaves the bodies of submissions unread: <see cref="SubmitJobConsumer"/> reads them itself, with the reader that HTTP uses, and a second reading of every number in a tensor would cost as much as the first.
/// To MassTransit each is an empty object.
/// </summary>
internal sealed class UnreadBody : ISerializerFactory, IMessageDeserializer
{
    private readonly SystemTextJsonRawMessageSerializer _json = new(RawSerializerOptions.AnyMessageType | RawSerializerOptions.AddTransportHeaders);
    private readonly MessageBody _empty = new BytesMessageBody("{}"u8.ToArray());

    public ContentType ContentType => _json.ContentType;

    public IMessageSerializer CreateSerializer() => _json;

    public IMessageDeserializer CreateDeserializer() => this;

    public ConsumeContext Deserialize(ReceiveContext receiveContext) =>
        new BodyConsumeContext(receiveContext, Deserialize(receiveContext.Body, receiveContext.TransportHeaders, receiveContext.InputAddress));

    public SerializerContext Deserialize(MessageBody body, Headers headers, Uri? destinationAddress = null) => _json.Deserialize(_empty, headers, destinationAddress);

    public MessageBody GetMessageBody(string text) => _json.GetMessageBody(text);

    public void Probe(ProbeContext context) => context.CreateScope("unread");
}
